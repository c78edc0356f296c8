"""The tables the corpus is written from: words, facts and short pairs.

Every row is a fact of the world or a plain word; the sentences around them are
in ``facts.py``, ``reference.py`` and ``stories.py``.
"""
# ruff: noqa: E501  (Chinese counts double there, so full rows look too long)


def rows(table: str) -> list[tuple[str, ...]]:
    """Read a table: one row a line, or rows parted by ``;``, cells by ``/``."""
    parts = table.replace("\n", ";").split(";")
    return [tuple(cell.strip() for cell in p.split("/")) for p in parts if p.strip()]


# country, capital, the same in Chinese
CAPITALS = rows("""
France/Paris/法国/巴黎; Germany/Berlin/德国/柏林; Italy/Rome/意大利/罗马
Spain/Madrid/西班牙/马德里; Portugal/Lisbon/葡萄牙/里斯本; China/Beijing/中国/北京
Japan/Tokyo/日本/东京; England/London/英国/伦敦; Ireland/Dublin/爱尔兰/都柏林
Greece/Athens/希腊/雅典; Egypt/Cairo/埃及/开罗; Russia/Moscow/俄罗斯/莫斯科
Poland/Warsaw/波兰/华沙; Austria/Vienna/奥地利/维也纳; Sweden/Stockholm/瑞典/斯德哥尔摩
Norway/Oslo/挪威/奥斯陆; Finland/Helsinki/芬兰/赫尔辛基; Denmark/Copenhagen/丹麦/哥本哈根
Canada/Ottawa/加拿大/渥太华; Mexico/Mexico City/墨西哥/墨西哥城; Cuba/Havana/古巴/哈瓦那
Peru/Lima/秘鲁/利马; Chile/Santiago/智利/圣地亚哥; India/New Delhi/印度/新德里
Thailand/Bangkok/泰国/曼谷; Vietnam/Hanoi/越南/河内; South Korea/Seoul/韩国/首尔
Turkey/Ankara/土耳其/安卡拉; Iran/Tehran/伊朗/德黑兰; Kenya/Nairobi/肯尼亚/内罗毕
Australia/Canberra/澳大利亚/堪培拉; Hungary/Budapest/匈牙利/布达佩斯
Belgium/Brussels/比利时/布鲁塞尔; Switzerland/Bern/瑞士/伯尔尼; Nepal/Kathmandu/尼泊尔/加德满都
""")

# animal, plural, colour, sound, Chinese, colour, sound
ANIMALS = rows("""
dog/dogs/brown/barks/狗/棕色/汪汪; cat/cats/grey/meows/猫/灰色/喵喵
cow/cows/black and white/moos/牛/黑白相间/哞哞; sheep/sheep/white/bleats/羊/白色/咩咩
duck/ducks/yellow/quacks/鸭子/黄色/嘎嘎; frog/frogs/green/croaks/青蛙/绿色/呱呱
crow/crows/black/caws/乌鸦/黑色/哇哇; lion/lions/golden/roars/狮子/金色/吼吼
pig/pigs/pink/grunts/猪/粉色/哼哼; mouse/mice/grey/squeaks/老鼠/灰色/吱吱
wolf/wolves/grey/howls/狼/灰色/嗷嗷; bee/bees/yellow and black/buzzes/蜜蜂/黄黑相间/嗡嗡
snake/snakes/green/hisses/蛇/绿色/嘶嘶; horse/horses/brown/neighs/马/棕色/咴咴
owl/owls/brown/hoots/猫头鹰/棕色/咕咕; bird/birds/blue/sings/鸟/蓝色/叽叽
""")

# animals for stories and reference: English, Chinese
BEASTS = rows("""
dog/狗; cat/猫; squirrel/松鼠; rabbit/兔子; fox/狐狸; wolf/狼; bear/熊; mouse/老鼠
horse/马; cow/牛; sheep/羊; pig/猪; duck/鸭子; bird/鸟; frog/青蛙; lion/狮子
tiger/老虎; monkey/猴子; elephant/大象; goat/山羊; hen/母鸡; goose/鹅; deer/鹿
hedgehog/刺猬; turtle/乌龟; snake/蛇; owl/猫头鹰; panda/熊猫; donkey/驴子; badger/獾
""")

# thing, its colour, Chinese, Chinese colour
COLOURS = rows("""
sky/blue/天空/蓝色; grass/green/草/绿色; snow/white/雪/白色; coal/black/煤/黑色
blood/red/血/红色; sun/yellow/太阳/黄色; sea/blue/大海/蓝色; milk/white/牛奶/白色
night/black/夜晚/黑色; leaf/green/树叶/绿色; banana/yellow/香蕉/黄色; lemon/yellow/柠檬/黄色
tomato/red/西红柿/红色; carrot/orange/胡萝卜/橙色; cherry/red/樱桃/红色; cloud/white/云/白色
chocolate/brown/巧克力/棕色; salt/white/盐/白色; cucumber/green/黄瓜/绿色; gold/yellow/金子/黄色
""")

OPPOSITES = rows("""
hot/cold; big/small; fast/slow; happy/sad; old/young; up/down; left/right; open/closed
light/dark; rich/poor; strong/weak; early/late; full/empty; wet/dry; clean/dirty
hard/soft; high/low; loud/quiet; long/short; near/far; thick/thin; true/false; good/bad
day/night; black/white; first/last; in/out; new/used; brave/afraid; kind/cruel
easy/difficult; deep/shallow; wide/narrow; sweet/bitter; sharp/blunt
begin/end; buy/sell; give/take; push/pull; win/lose; laugh/cry; arrive/leave; love/hate
""")

OPPOSITES_ZH = rows("""
大/小; 热/冷; 快/慢; 高/低; 长/短; 新/旧; 多/少; 远/近; 好/坏; 黑/白; 上/下; 左/右
前/后; 里/外; 早/晚; 轻/重; 胖/瘦; 干/湿; 强/弱; 深/浅; 老/少; 开/关; 买/卖; 哭/笑
""")

PLURALS = rows("""
cat/cats; dog/dogs; box/boxes; city/cities; child/children; mouse/mice; foot/feet
tooth/teeth; man/men; woman/women; leaf/leaves; wolf/wolves; knife/knives; bus/buses
baby/babies; book/books; house/houses; tree/trees; fish/fish; sheep/sheep; goose/geese
story/stories; lady/ladies; glass/glasses; brush/brushes; day/days; key/keys; boy/boys
girl/girls; apple/apples; orange/oranges; car/cars; fox/foxes; dish/dishes; berry/berries
church/churches; watch/watches; shelf/shelves; half/halves; life/lives; hero/heroes
potato/potatoes; tomato/tomatoes; person/people; penny/pennies; bird/birds; lamp/lamps
""")

# English, Chinese
PAIRS = rows("""
dog/狗; cat/猫; bird/鸟; fish/鱼; horse/马; cow/牛; water/水; fire/火; mountain/山
river/河; tree/树; flower/花; sun/太阳; moon/月亮; star/星星; rain/雨; snow/雪; wind/风
book/书; pen/笔; table/桌子; chair/椅子; door/门; window/窗户; house/房子; bed/床; lamp/灯
cup/杯子; knife/刀; bread/面包; rice/米饭; milk/牛奶; tea/茶; coffee/咖啡; egg/鸡蛋; meat/肉
apple/苹果; orange/橙子; banana/香蕉; grape/葡萄; salt/盐; sugar/糖; father/爸爸; mother/妈妈
brother/哥哥; sister/姐姐; friend/朋友; teacher/老师; student/学生; doctor/医生; school/学校
hospital/医院; city/城市; village/村子; road/路; car/汽车; train/火车; boat/船; plane/飞机
bicycle/自行车; red/红色; blue/蓝色; green/绿色; yellow/黄色; white/白色; black/黑色; big/大
small/小; hot/热; cold/冷; happy/高兴; sad/难过; hand/手; foot/脚; eye/眼睛; ear/耳朵
mouth/嘴巴; heart/心; day/白天; night/夜晚; morning/早上; evening/晚上; spring/春天
summer/夏天; autumn/秋天; winter/冬天; one/一; two/二; three/三; money/钱; work/工作
music/音乐; song/歌; dream/梦; love/爱; time/时间; today/今天; tomorrow/明天; explorer/探险家
world/世界; sea/大海; forest/森林; island/岛; bridge/桥; king/国王; key/钥匙; letter/信; hat/帽子
""")

# title, and what follows it
FILMS = rows("""
The Shawshank Redemption/a film about hope and friendship in a prison
The Lion King/a film about a young lion who becomes a king
The Wizard of Oz/a film about a girl who is carried away by a storm
The Sound of Music/a film about a family that loves to sing
The Dark Knight/a film about a hero who protects a city at night
The Godfather/a film about a powerful family
The Great Escape/a film about prisoners who dig a tunnel
The Jungle Book/a film about a boy who grows up among animals
Finding Nemo/a film about a father who looks for his son in the sea
Singin' in the Rain/a film about actors who learn to speak on the screen
Modern Times/a film about a worker and his machines
Seven Samurai/a film about seven fighters who save a village
""")

FILMS_ZH = rows("""
肖申克的救赎/希望和友谊; 狮子王/一只小狮子长大的故事; 绿野仙踪/一个女孩的冒险
音乐之声/一个爱唱歌的家庭; 海底总动员/一位爸爸寻找儿子的故事; 七武士/七个人保护村子的故事
""")

GIRLS = "Anna Maria Emma Lucy Sara Mei Lily Nina Clara Ruth Julia Eva Alice Grace Ada".split()
BOYS = "Tom Ben Leo Max Jack Sam Peter Paul Hugo Adam Oscar David Felix Noah Li".split()
GIRLS_ZH = "小红 小美 小丽 小芳 小雨 小兰 小月 小云".split()
BOYS_ZH = "小明 小刚 小华 小强 小李 小龙 小东 小海".split()

PLACES = rows("""
garden/花园; kitchen/厨房; forest/森林; school/学校; market/市场; park/公园; library/图书馆
village/村子; beach/海边; station/车站; farm/农场; hospital/医院; museum/博物馆; river/河边
""")

# thing, Chinese, how Chinese counts it
THINGS = rows("""
ball/球/个; book/书/本; key/钥匙/把; hat/帽子/顶; cup/杯子/个; letter/信/封; lamp/灯/盏
map/地图/张; bag/包/个; coat/外套/件; clock/钟/个; box/盒子/个; pencil/铅笔/支
umbrella/雨伞/把; picture/画/幅; drum/鼓/面; kite/风筝/只
""")


FURNITURE = rows("table/桌子; chair/椅子; shelf/架子; bed/床; desk/书桌; sofa/沙发")
SHADES = rows("red/红色; blue/蓝色; green/绿色; yellow/黄色; white/白色; black/黑色")
DRINKS_ZH = ["咖啡"] * 12 + ["茶", "水", "牛奶", "果汁"]
DRINKS = ["coffee"] * 4 + ["tea", "water", "milk", "juice"]
