"""The country codes that a trunk may name. Holds nothing but codes: which number belongs where is for phone.py."""

# ISO 3166-1 alpha-2, all 249 codes: ISO/TC 46 N1108 (2023-04-05), by the tz database's iso3166.tab (public domain).
ISO_3166_1 = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()  # noqa: SIM905  # 249 lines of a list would hide that it is a table
)

# Regions that have phone numbers without a place in ISO 3166-1: Kosovo, Ascension, Tristan da Cunha.
OTHERS_WITH_NUMBERS = frozenset({"XK", "AC", "TA"})

KNOWN_COUNTRIES = ISO_3166_1 | OTHERS_WITH_NUMBERS

# Territories without numbering data of their own, with the calling code they share (ITU-T E.164, country codes).
SHARED_CALLING_CODES = {"AQ": 672, "BV": 47, "GS": 500, "HM": 672, "PN": 64, "TF": 262, "UM": 1}


def country_code(text: str) -> str:
    """A country code in any case, blanks around it; only ASCII is raised, because "ß" would become South Sudan."""
    code = text.strip()
    return code.upper() if code.isascii() else code
