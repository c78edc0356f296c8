"""What a student's nbgrader must know: which course, and where the exchange is."""

import os

c = get_config()  # noqa: F821, nbgrader defines it

c.CourseDirectory.course_id = "tokens-to-text"
c.Exchange.root = os.environ.get("CLASS_EXCHANGE", "/srv/nbgrader/exchange")
