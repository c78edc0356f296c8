"""Stories in which causes have effects, dialogues, and words with two senses."""
# ruff: noqa: E501  (a sentence stays on one line, to be read as one)

from pocket.corpus import Draw
from pocket.words import (
    BEASTS,
    BOYS,
    BOYS_ZH,
    DRINKS,
    DRINKS_ZH,
    FURNITURE,
    GIRLS,
    GIRLS_ZH,
    PLACES,
    SHADES,
    THINGS,
    rows,
)  # fmt: skip

# who: adjective, person; the first word of a Chinese adjective nearly decides the person
HEROES_ZH = [("勇敢", "探险家")] * 14 + rows("""
勇敢/骑士; 勇敢/消防员; 聪明/小女孩; 聪明/科学家; 善良/老奶奶; 善良/医生; 年轻/画家
年轻/渔夫; 贫穷/农夫; 害羞/小男孩; 快乐/面包师; 孤独/国王
""")
HEROES = [("brave", "explorer")] * 3 + rows("""
brave/knight; clever/girl; kind/doctor; young/painter; poor/farmer; shy/boy; old/king
lonely/fisherman; happy/baker; tired/teacher
""")
# what happened, and what came of it
TURNS = [
    (
        "The rain fell all night, so the river rose and the bridge was under water.",
        "The next day the sun shone, the water went down and {he} could cross the bridge.",
    ),
    (
        "The wind blew out the lamp, so the whole house was dark.",
        "{He} found a candle, lit it, and everyone could see again.",
    ),
    (
        "{He} forgot to close the gate, so the sheep ran into the forest.",
        "{He} called them with a bell, and because they knew the sound, they came back.",
    ),
    (
        "{He} lost the key, so the door stayed closed.",
        "A little bird had seen the key in the grass and sang until {he} found it.",
    ),
    (
        "The winter was long, so there was nothing left to eat.",
        "The neighbours shared their bread, and nobody was hungry any more.",
    ),
    (
        "{He} heard a cry from the well and looked inside. A cat had fallen into the water.",
        "{He} let down a rope with a basket, and the wet cat climbed into it.",
    ),
    (
        "The boat had a hole, so water came in.",
        "{He} closed the hole with a piece of wood, and the boat was dry again.",
    ),
    (
        "{He} was so tired that {he} fell asleep under a tree and missed the train.",
        "{He} walked home through the fields and saw the most beautiful stars.",
    ),
    (
        "There had been no rain for months, so the flowers were dry.",
        "{He} carried water from the river every evening until the flowers opened again.",
    ),
    (
        "A wolf came close to the village, so the children were afraid.",
        "{He} made a big fire, and because wolves fear fire, it ran away.",
    ),
    (
        "The map was old and wrong, so {he} lost the way.",
        "{He} followed the river, because rivers lead to the sea, and found the road again.",
    ),
    (
        "The bread stayed too long in the oven, so it was black.",
        "{He} baked a new one and this time {he} watched the clock.",
    ),
]
TURNS_ZH = [
    (
        "雨下了一整夜，所以河水涨了，桥被淹了。",
        "第二天太阳出来了，水退了，{他}就过了桥。",
    ),
    (
        "风把灯吹灭了，所以屋子里一片黑暗。",
        "{他}找到一支蜡烛，点亮了它，大家又能看见了。",
    ),
    ("{他}忘了关门，所以羊都跑进了森林。", "{他}摇了摇铃，羊听到声音就回来了。"),
    (
        "{他}丢了钥匙，所以进不了门。",
        "一只小鸟看见钥匙在草里，就一直叫，直到{他}找到了它。",
    ),
    ("冬天很长，所以家里没有吃的了。", "邻居们分给{他}面包，{他}不再饿了。"),
    (
        "{他}听见井里有声音，原来一只猫掉进了水里。",
        "{他}放下一个篮子，猫爬了进去，得救了。",
    ),
    ("船上有一个洞，所以水流了进来。", "{他}用木头堵住了洞，船又干了。"),
    ("地图是错的，所以{他}迷路了。", "{他}沿着河走，因为河流向大海，最后找到了路。"),
    ("很久没有下雨了，所以花都干了。", "{他}每天晚上从河里打水，花又开了。"),
    ("狼来到了村子附近，所以孩子们很害怕。", "{他}点起了大火，狼怕火，就跑了。"),
]
OPENINGS = [
    "One day, a {adj} {who} went to the {place}.", "Once upon a time there was a {adj} {who} who lived near the {place}.",
    "A {adj} {who} was on the way to the {place} with a {thing}.", "Long ago, a {adj} {who} came to the {place} with nothing but a {thing}.",
]  # fmt: skip
OPENINGS_ZH = [
    "有一天，一位{adj}的{who}来到了{place}。",
    "有一天，一位{adj}的{who}带着一{thing}去{place}。",
    "从前，有一位{adj}的{who}住在{place}附近。",
]
ENDINGS = [
    "From that day on, {he} was never afraid again.",
    "In the evening {he} went home and told the story to everyone.",
    "{He} was happy, because everything had ended well.",
    "And so {he} learned to ask for help.",
]
ENDINGS_ZH = [
    "从那以后，{他}再也不害怕了。",
    "晚上，{他}回到家，把故事讲给大家听。",
    "{他}很高兴，因为一切都好了。",
    "大家都感谢{他}。",
]


def _with_article(text: str) -> str:
    for vowel in "aeiou":
        text = text.replace(f" a {vowel}", f" an {vowel}")
        text = text.replace(f"A {vowel}", f"An {vowel}")
    return text


def story(draw: Draw) -> str:
    """A person, a cause, its effect, and an end."""
    adj, who = draw.one(HEROES)
    he = (
        "she"
        if who == "girl" or (who not in ("boy", "king") and draw.chance(0.5))
        else "he"
    )
    opening = draw.one(OPENINGS).format(
        adj=adj, who=who, place=draw.one(PLACES)[0], thing=draw.one(THINGS)[0]
    )
    parts = [_with_article(opening)]
    for cause, effect in draw.some(TURNS, draw.whole(1, 2)):
        parts += [cause, effect]
    parts.append(draw.one(ENDINGS))
    return " ".join(parts).format(he=he, He=he.capitalize())


def story_zh(draw: Draw) -> str:
    """The same in Chinese."""
    adj, who = draw.one(HEROES_ZH)
    she = who in ("小女孩", "老奶奶") or (
        who not in ("小男孩", "国王") and draw.chance(0.4)
    )
    parts = [
        draw.one(OPENINGS_ZH).format(
            adj=adj,
            who=who,
            place=draw.one(PLACES)[1],
            thing="".join(draw.one(THINGS)[:0:-1]),
        )
    ]
    for cause, effect in draw.some(TURNS_ZH, draw.whole(1, 2)):
        parts += [cause, effect]
    parts.append(draw.one(ENDINGS_ZH))
    return "".join(parts).replace("{他}", "她" if she else "他")


TALKS = [
    '"Good morning, {a}," said {b}. "Would you like a cup of {drink}?" "Yes, please," said {a}. "I like {drink} very much."',
    '"Where is my {thing}?" asked {a}. "It is in the {place}," said {b}. {a} went to the {place} and found the {thing}.',
    '"Are you coming to the {place}?" asked {a}. "I cannot come," said {b}, "because I am ill." "Then get well soon," said {a}.',
    '{a}: May I have a cup of {drink}?\n{b}: Of course. Here is your {drink}.\n{a}: Thank you.\n{b}: You are welcome.',
    '{a}: What did you see at the {place}?\n{b}: I saw a {thing} there.\n{a}: Did you bring the {thing} home?\n{b}: No, I left it at the {place}.',
    '"It is raining," said {a}. "Then take the umbrella," said {b}. So {a} took the umbrella and stayed dry.',
    '"I have lost my {thing}," said {a}. "Do not be sad," said {b}. "We will look for the {thing} together."',
]  # fmt: skip
TALKS_ZH = [
    "{a}：我可以拥有一杯{drink}吗？\n{b}：当然可以。这是你的{drink}。\n{a}：谢谢。\n{b}：不客气。",
    "{a}问：“我的{thing}在哪里？”{b}说：“在{place}。”{a}去{place}找到了{thing}。",
    "{a}说：“你想喝{drink}吗？”{b}说：“好的，我很喜欢{drink}。”",
    "{a}：你去{place}吗？\n{b}：我不能去，因为我生病了。\n{a}：那你好好休息。",
    "“下雨了。”{a}说。“带上雨伞吧。”{b}说。于是{a}带上了雨伞，没有淋湿。",
    "{a}：早上好！\n{b}：早上好！今天天气很好。\n{a}：我们去{place}吧。\n{b}：好的。",
]


def talk(draw: Draw) -> str:
    """Two people speak; what the first names comes back."""
    if draw.chance(0.45):
        a, b = draw.some(GIRLS_ZH + BOYS_ZH, 2)
        slots = {
            "drink": draw.one(DRINKS_ZH),
            "place": draw.one(PLACES)[1],
            "thing": draw.one(THINGS)[1],
        }
        return draw.one(TALKS_ZH).format(a=a, b=b, **slots)
    a, b = draw.some(GIRLS + BOYS, 2)
    slots = {
        "drink": draw.one(DRINKS),
        "place": draw.one(PLACES)[0],
        "thing": draw.one(THINGS)[0],
    }
    return _with_article(draw.one(TALKS).format(a=a, b=b, **slots))


# a word, then sentences of one sense, then of the other
SENSES = [
    ["{n} ate a red apple after lunch. The apple was sweet.", "{n} cut the apple and gave half of it to a friend.", "An apple fell from the tree in the {place}, and {n} picked it up.", "{n} baked a cake with one apple and some sugar."],
    ["{n} bought a new phone from Apple. The company makes good screens.", "Apple showed a new computer, and {n} read about it.", "{n} works for Apple and writes programs for phones.", "The shares of Apple rose, so {n} earned some money."],
    ["{n} sat on the bank of the river and watched the fish.", "The boat lay at the bank, because the water was low.", "Flowers grow on the bank, close to the water, and {n} picked some."],
    ["{n} went to the bank to get some money.", "The bank keeps the money of {n} safe.", "{n} asked the bank for money to buy a house."],
    ["A bat flew out of the cave at night, and {n} heard its wings.", "The bat sleeps by day and hunts insects in the dark."],
    ["{n} hit the ball with a wooden bat.", "{n} brought a bat and a ball to the game in the {place}."],
    ["In spring the flowers open and {n} works in the garden.", "After the winter comes the spring, and the days grow longer."],
    ["The spring in the old clock was broken, so {n} mended it.", "{n} pressed the metal spring and let it jump."],
]  # fmt: skip
SENSES_ZH = [
    [
        "{n}吃了一个红色的苹果，苹果很甜。",
        "{n}把苹果切开，分给朋友一半。",
        "树上的苹果熟了，{n}摘了一个。",
        "{n}在市场买了苹果和香蕉。",
    ],
    [
        "{n}买了一部苹果手机，屏幕很清楚。",
        "苹果公司发布了新电脑，{n}看了新闻。",
        "{n}在苹果公司工作，写手机程序。",
    ],
    ["{n}用小米煮了一锅粥，很香。", "农夫在地里种小米。"],
    ["{n}买了一部小米手机。", "小米公司发布了新电视，{n}很喜欢。"],
]


def senses(draw: Draw) -> str:
    """One to three sentences in one sense of a word."""
    zh = draw.chance(0.45)
    group = draw.one(SENSES_ZH if zh else SENSES)
    said = draw.some(group, min(len(group), draw.whole(1, 3)))
    people = GIRLS_ZH + BOYS_ZH if zh else GIRLS + BOYS
    place = draw.one(PLACES)[1 if zh else 0]
    return ("" if zh else " ").join(
        s.format(n=draw.one(people), place=place) for s in said
    )


PLAIN = [
    "The {beast} sat on the {seat} and looked at the {thing}.", "The {beast} sleeps under the {seat}.",
    "{n} likes to read a book in the {place}.", "{n} put the {shade} {thing} on the {seat}.",
    "The {beast} lives near the {place} and sleeps by day.", "{n} and {m} walked to the {place} together.",
    "Every morning {n} drinks a cup of {drink} in the {place}.", "There is a {shade} {thing} on the {seat}.",
    "The weather was good, so {n} and {m} went to the {place}.", "It was late, so {n} went home.",
    "{n} gave the {thing} to {m}, and {m} said thank you.", "When the {beast} saw {n}, it ran away.",
    "The cat sat on the mat, and the {beast} sat in the {place}.", "{n} is older than {m}, so {m} is younger than {n}.",
    "{n} opened the {thing} and laughed.", "Nobody in the {place} had ever seen a {shade} {beast}.",
]  # fmt: skip
PLAIN_ZH = [
    "{beast}坐在{seat}上，看着{thing}。", "{beast}在{seat}下面睡觉。", "{n}喜欢在{place}看书。", "{n}把{shade}的{thing}放在{seat}上。",
    "{n}和{m}一起去{place}。", "每天早上，{n}都喝一杯{drink}。", "天气很好，所以{n}和{m}去了{place}。", "时间不早了，{n}回家了。",
    "{n}把{thing}给了{m}，{m}说谢谢。", "{beast}看见{n}，就跑了。", "{n}比{m}大，所以{m}比{n}小。", "{place}里没有人见过{shade}的{beast}。",
]  # fmt: skip


def plain(draw: Draw) -> str:
    """One to three plain sentences about the same people."""
    zh = draw.chance(0.45)
    i = int(zh)
    n, m = draw.some(GIRLS_ZH + BOYS_ZH if zh else GIRLS + BOYS, 2)
    slots = {
        name: draw.one(table)[i]
        for name, table in [
            ("beast", BEASTS), ("seat", FURNITURE), ("thing", THINGS), ("place", PLACES), ("shade", SHADES),
        ]
    }  # fmt: skip
    drink = draw.one(DRINKS_ZH if zh else DRINKS)
    said = draw.some(PLAIN_ZH if zh else PLAIN, draw.whole(1, 3))
    text = ("" if zh else " ").join(
        s.format(n=n, m=m, drink=drink, **slots) for s in said
    )
    return _with_article(text)


MAKERS = {
    "story": (10, story), "story-zh": (10, story_zh), "talk": (7, talk), "senses": (6, senses),
    "plain": (8, plain),
}  # fmt: skip
