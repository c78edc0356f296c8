"""JupyterHub for a class on one server: everybody logs in with their account there.

    sudo apt-get install bubblewrap nodejs npm
    sudo npm install -g configurable-http-proxy
    sudo python3 -m venv /opt/course
    sudo /opt/course/bin/pip install -r requirements.txt \\
        -r classroom/requirements-class.txt -r classroom/jupyterhub/requirements-hub.txt
    sudo install -D -m 644 classroom/jupyterhub/nbgrader_config.py \\
        /opt/course/etc/jupyter/nbgrader_config.py
    sudo install -d -m 777 /srv/nbgrader/exchange
    sudo /opt/course/bin/jupyterhub -f classroom/jupyterhub/jupyterhub_config.py

A student has JupyterLab with nbgrader's list of assignments: fetch, submit, fetch the
feedback. A teacher has the course in their home and works as chapters/classroom.md
says; that home is closed to students (chmod 700), as the solutions are in it. Who is in
the group CLASS_TEACHERS (`teachers` if it is not set) is an admin of the hub: sees who
is there, and stops servers.

It listens on this machine only, as passwords must not cross a network in plain text.
Put a proxy with TLS before it, or set CLASS_URL=https://:443 and c.JupyterHub.ssl_key
and ssl_cert below.
"""

import os
import sys
from pathlib import Path

exchange = os.environ.get("CLASS_EXCHANGE", "/srv/nbgrader/exchange")

c = get_config()  # noqa: F821, JupyterHub defines it

c.JupyterHub.bind_url = os.environ.get("CLASS_URL", "http://127.0.0.1:8000")
c.JupyterHub.authenticator_class = os.environ.get("CLASS_AUTHENTICATOR", "pam")
c.JupyterHub.spawner_class = os.environ.get("CLASS_SPAWNER", "localprocess")
c.Authenticator.allow_all = True  # whoever has an account on the server
c.PAMAuthenticator.admin_groups = {os.environ.get("CLASS_TEACHERS", "teachers")}

c.Spawner.cmd = [str(Path(sys.executable).parent / "jupyterhub-singleuser")]
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = c.Spawner.http_timeout = 180  # when all come at once
c.Spawner.environment = {"CLASS_EXCHANGE": exchange}
# Enforced by systemdspawner; the usual spawner only tells the server.
c.Spawner.mem_limit = os.environ.get("CLASS_MEMORY", "2G")
c.JupyterHub.cleanup_servers = False  # a restart of the hub interrupts nobody
