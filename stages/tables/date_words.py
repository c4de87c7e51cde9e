"""The words in dates, by language: months, weekdays, and what may stand between."""

import unicodedata

_BARE = str.maketrans("ıłøß", "ilos")
_MONTHS_IN = {
    "English": "jan/january feb/february mar/march apr/april may jun/june jul/july aug/august sep/sept/september "
    "oct/october nov/november dec/december",
    "German": "januar/jänner februar märz/mär/mrz april mai juni juli august september okt/oktober november "
    "dez/dezember",
    "French": "janv/janvier févr/fév/février mars avr/avril mai juin juil/juillet août/aoû septembre octobre novembre "
    "déc/décembre",
    "Spanish": "ene/enero febrero marzo abr/abril mayo junio julio ago/agosto septiembre/setiembre octubre noviembre "
    "dic/diciembre",
    "Italian": "gen/gennaio febbraio marzo aprile mag/maggio giu/giugno lug/luglio ago/agosto set/sett/settembre "
    "ott/ottobre novembre dic/dicembre",
    "Portuguese": "janeiro fev/fevereiro março abr/abril maio junho julho ago/agosto set/setembro out/outubro novembro "
    "dez/dezembro",
    "Dutch": "januari februari mrt/maart april mei juni juli augustus september okt/oktober november december",
    "Danish": "januar februar marts april maj juni juli august september okt/oktober november december",
    "Norwegian": "januar februar mars april mai juni juli august september okt/oktober november des/desember",
    "Swedish": "januari februari mars april maj juni juli augusti september okt/oktober november december",
    "Polish": "sty/styczeń/stycznia lut/luty/lutego marzec/marca kwi/kwiecień/kwietnia maj/maja cze/czerwiec/czerwca "
    "lip/lipiec/lipca sie/sierpień/sierpnia wrz/wrzesień/września paź/październik/października lis/listopad/listopada "
    "gru/grudzień/grudnia",
    "Czech": "led/leden/ledna úno/únor/února bře/březen/března dub/duben/dubna kvě/květen/května čvn/červen/června "
    "čvc/červenec/července srp/srpen/srpna zář/září říj/říjen/října listopad/listopadu pro/prosinec/prosince",
    "Slovak": "január/januára február/februára marec/marca apríl/apríla máj/mája jún/júna júl/júla august/augusta "
    "september/septembra október/októbra november/novembra december/decembra",
    "Russian": "янв/январь/января фев/февр/февраль/февраля мар/март/марта апр/апрель/апреля май/мая июн/июнь/июня "
    "июл/июль/июля авг/август/августа сен/сент/сентябрь/сентября окт/октябрь/октября ноя/нояб/ноябрь/ноября "
    "дек/декабрь/декабря",
    "Ukrainian": "січ/січень/січня лют/лютий/лютого бер/берез/березень/березня кві/квіт/квітень/квітня "
    "тра/трав/травень/травня чер/черв/червень/червня лип/липень/липня сер/серп/серпень/серпня вер/вересень/вересня "
    "жов/жовт/жовтень/жовтня лис/листоп/листопад/листопада гру/груд/грудень/грудня",
    "Turkish": "oca/ocak şub/şubat mart nis/nisan mayıs haz/haziran tem/temmuz ağu/ağustos eyl/eylül eki/ekim "
    "kas/kasım ara/aralık",
    "Romanian": "ian/ianuarie februarie martie aprilie mai iun/iunie iul/iulie august septembrie octombrie "
    "noi/noiembrie decembrie",
    "Hungarian": "január febr/február márc/március ápr/április május június július augusztus szept/szeptember "
    "október november december",
}
_WEEKDAYS_IN = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun",
    "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so",
    "lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim",
    "lunes martes miércoles jueves viernes sábado domingo mié jue vie sáb dom",
    "lunedì martedì mercoledì giovedì venerdì sabato domenica gio",
    "segunda terça quarta quinta sexta feira seg ter qua qui sex",
    "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag ma wo vr za zo",
    "mandag tirsdag onsdag torsdag fredag lørdag søndag man tir ons tor fre lør søn",
    "måndag tisdag lördag söndag tis lör",
    "poniedziałek wtorek środa czwartek piątek sobota niedziela",
    "pondělí úterý středa čtvrtek pátek neděle pondelok utorok streda štvrtok piatok nedeľa",
    "понедельник вторник среда четверг пятница суббота воскресенье пн вт ср чт пт сб вс нд",
    "понеділок вівторок середа четвер субота неділя",
    "pazartesi salı çarşamba perşembe cuma cumartesi pazar",
    "luni marți miercuri joi vineri sâmbătă duminică",
    "hétfő kedd szerda csütörtök péntek szombat vasárnap",
)
_FILLERS_IN = (
    "t z utc gmt at of de le the st nd rd th um uhr pst pdt est edt cst cdt mst mdt cet cest bst jst "
    "er o den del il r roku г года году р року 年 月 日 년 월 일"
)


def plain(word: str) -> str:
    """A word in small letters without accents, as the sets below have it; most words of dates have none."""
    if word.isascii():
        return word.lower()
    bare = (c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))
    return "".join(bare).translate(_BARE)


LANGUAGES = tuple(_MONTHS_IN)
MONTHS = {
    plain(name): month
    for months in _MONTHS_IN.values()
    for month, names in enumerate(months.split(), 1)
    for name in names.split("/")
}
"""The month of each name, however short."""
WORDS_BESIDE = frozenset(plain(name) for names in (*_WEEKDAYS_IN, _FILLERS_IN) for name in names.split())
"""Weekdays, and what may stand between the others."""
