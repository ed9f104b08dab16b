"""Words of which one cannot stand for another: what the contrast guard knows.

Data for people to read and extend. One line is one set of alternatives, separated by `|`; a line that begins with `|`
goes on with the one above. The words of one alternative mean the same here; `_` joins a phrase. A word with a capital
counts only with that capital (`US` is not `us`), all others in any case. Inflected forms need not be listed.
"""

from __future__ import annotations

OPPOSITES = """
    all every each | some few several | most | none
    both | either | neither
    allowed permitted | forbidden prohibited banned
    required mandatory compulsory obligatory | optional voluntary
    cover | exclude
    rich_in high_in | low_in poor_in
    archive | restore
    follow | unfollow block
    gross | net
    physical | virtual digital
    work_email | personal_email private_email
    at_work | at_home
    one_way | round_trip
    full_time | part_time
    ascending increasing | descending decreasing
    big large huge | small little tiny
    bigger larger | smaller
    biggest largest | smallest
    cheap cheaper cheapest inexpensive affordable | expensive pricey costly
    deep deeper deepest | shallow shallower shallowest
    early earlier earliest | late later latest
    fast faster fastest quick quicker quickest | slow slower slowest
    few fewer fewest | many
    full | empty
    gain | lose loss
    good | bad
    better | worse
    best | worst
    heavy heavier heaviest | light lighter lightest
    high higher highest | low lower lowest
    increase raise grow | decrease reduce lower shrink
    long longer longest | short shorter shortest
    major | minor
    majority | minority
    max maximum maximal maximize maximise | min minimum minimal minimize minimise
    more | less fewer
    most | least fewest
    narrow | wide broad
    oldest eldest | newest youngest
    older | newer younger
    old | new young
    plus | minus
    positive | negative
    rich richer richest | poor poorer poorest
    strong stronger strongest | weak weaker weakest
    tall taller tallest | short shorter shortest
    thick thicker thickest | thin thinner thinnest
    total | partial
    upgrade | downgrade
    upper | lower
    uppercase | lowercase
    upload | download
    accept | reject decline refuse deny
    activate enable | deactivate disable
    add | remove delete subtract
    admit | deny
    allow permit | forbid prohibit ban prevent block
    approve | disapprove reject
    arrive arrival | depart departure leave
    attach | detach
    borrow | lend
    build | destroy demolish
    buy purchase | sell
    buyer | seller
    catch | throw
    charge | discharge
    compress zip | decompress unzip extract
    connect | disconnect
    create | delete destroy
    credit | debit
    deposit | withdraw withdrawal
    encode | decode
    encrypt | decrypt
    enter | exit leave
    expand | collapse shrink
    find | lose
    freeze | unfreeze thaw
    hire | fire
    import | export
    include | exclude
    inhale | exhale
    insert | remove eject
    install | uninstall
    join | leave quit
    like love | dislike hate
    lock | unlock
    login | logout
    mount | unmount
    mute | unmute
    open | close shut
    pass | fail
    pause | resume
    push | pull
    push | pop
    read | write
    remember | forget
    save | discard
    save | spend
    send | receive
    sender | receiver recipient
    show display | hide
    start begin launch | stop end finish
    start | stop quit terminate
    subscribe | unsubscribe
    succeed success | fail failure
    teach | learn
    undo | redo
    wake | sleep
    win | lose
    winner | loser
    above | below beneath underneath
    ahead | behind
    before | after
    prior_to | after
    east eastern | west western
    first | last final
    former | latter
    forward | backward
    front | back rear
    horizontal horizontally | vertical vertically
    inbound incoming | outbound outgoing
    indoor | outdoor
    inside | outside
    internal interior inner | external exterior outer
    left | right
    next following | previous last preceding | current this
    next | prior
    north northern | south southern
    northeast | northwest | southeast | southwest
    over | under
    past | future
    prefix | suffix
    since | until
    sunrise dawn | sunset dusk
    temporary temporarily | permanent permanently
    top | bottom
    upstairs | downstairs
    upstream | downstream
    with | without
    absent | present
    active | passive
    advantage pro benefit | disadvantage drawback con downside
    alive living | dead
    always | never
    asynchronous async | synchronous sync
    awake | asleep
    closed | open
    common | rare
    dry | wet
    easy easier easiest | hard difficult harder hardest
    everything all | nothing none
    everyone everybody | nobody
    false | true
    guilty | innocent
    hard | soft
    healthy | sick ill
    hot hotter hottest | cold colder coldest
    warm warmer | cool cooler
    literal | figurative
    loud | quiet silent
    manual manually | automatic automatically
    married | single unmarried divorced
    near close | far distant
    online | offline
    own | rent lease
    prepaid | postpaid
    profit | loss
    public publicly | private privately
    raw | cooked
    real | fake
    safe | dangerous
    singular | plural
    simple | complex complicated
    solid | liquid | gas gaseous
    static | dynamic
    success | failure
    sweet | sour | salty | bitter
    urban | rural
    vegan vegetarian | meat
    victory | defeat
    yes | no
"""
"""A text with one word and a text with its opposite mean different things.

Adjectives that a prefix turns round (safe, unsafe) are not here: the negation guard knows that "not safe" is "unsafe".
"""

PARTICLES = {
    "turn switch shut power put flip flick": "on | off",
    "log sign check clock opt": "in | out off",
    "go move scroll turn speed slow scale volume thumb": "up | down",
}
"""Small words that are opposites beside one of these verbs only: music plays on a device as it plays off one."""

EXCLUSIVE = {
    "aspect": """
        cause reason | cure treatment therapy | symptom
        benefit advantage | risk danger hazard
        boil boiling | freeze freezing | melt melting
        height | weight | width | length | depth
        author | publisher | editor | translator | illustrator
        deadline | fee
        average | minimum lowest | maximum highest | starting
        sentence | paragraph | page
    """,
    "kind": """
        premium | basic | standard | enterprise
        domestic national | international foreign
        billing | shipping
        vegetarian | vegan
        nearest closest | cheapest
        airport | station | harbour harbor | beach
        monthly | weekly | daily | yearly annual annually
    """,
    "weekday": """
        monday mon | tuesday tue | wednesday weds | thursday thu thur | friday fri | saturday Sat | sunday
        weekday | weekend
    """,
    "month": """
        january jan | february feb | march Mar | april apr | May | june jun | july jul | august Aug
        | september sept sep | october oct | november nov | december dec
    """,
    "season": """
        spring springtime | summer summertime | autumn fall | winter wintertime
    """,
    "day": """
        today tonight this_morning this_afternoon this_evening | yesterday last_night | tomorrow
        | day_after_tomorrow | day_before_yesterday
        this_week | next_week | last_week previous_week | this_weekend | next_weekend | last_weekend
        this_month | next_month | last_month previous_month
        this_year | next_year | last_year previous_year
    """,
    "time of day": """
        a.m. | p.m.
        morning | afternoon | evening | night midnight | noon midday
        breakfast | lunch | dinner supper
    """,
    "period": """
        hourly per_hour | daily per_day | weekly per_week | biweekly fortnightly | monthly per_month
        | quarterly per_quarter | yearly annual annually per_year
    """,
    "unit": """
        nanosecond ns | microsecond | millisecond ms | seconds sec | minute min | hour hr hrs | day | week
        | fortnight | month | quarter | year yr yrs | decade | century | millennium
        millimetre millimeter mm | centimetre centimeter cm | metre meter | kilometre kilometer km | inch | foot ft
        | yard yd | mile | light_year
        milligram mg | gram gramme g | kilogram kilo kg kgs | tonne ton | ounce oz | pound lb lbs | stone
        millilitre milliliter ml | centilitre cl | litre liter | gallon | pint | quart | cup | teaspoon tsp
        | tablespoon tbsp
        celsius centigrade °c | fahrenheit °f | kelvin
        bit | byte | kilobyte kb | megabyte mb | gigabyte gb | terabyte tb | petabyte pb
        hertz hz | kilohertz khz | megahertz mhz | gigahertz ghz
        watt | kilowatt kw | megawatt mw
        joule | calorie kcal | kilojoule kj
        mph miles_per_hour | kph kmh kilometers_per_hour kilometres_per_hour | knot
        acre | hectare | square_feet square_foot sqft | square_metres square_meters sqm
        thousand | million | billion | trillion
        dozen | hundred
        volt | ampere amp | ohm
        radian | degree
    """,
    "currency": """
        dollar usd bucks | euro eur | pound gbp sterling quid | yen jpy | yuan renminbi rmb cny | rupee inr
        | cad | aud | nzd | sgd | hkd
        | franc chf | rouble ruble rub | won krw | peso mxn | real brl reais | lira | zloty pln | krona sek
        | krone nok | forint huf | koruna czk | rand zar | shekel ils | dirham aed | riyal sar | baht thb
        | ringgit myr | rupiah idr | dong vnd | naira ngn | bitcoin btc | ethereum eth | litecoin ltc
        | dogecoin doge
        cent penny pence | dollar euro pound
    """,
    "language": """
        english | french | german | spanish castilian | italian | portuguese | dutch | russian | polish
        | ukrainian | czech | slovak | hungarian | romanian | bulgarian | greek | turkish | arabic | hebrew
        | persian farsi | urdu | hindi | bengali | punjabi | tamil | telugu | marathi | gujarati | kannada
        | malayalam | sinhala | nepali | chinese mandarin | cantonese | japanese | korean | vietnamese | thai
        | indonesian | malay | tagalog filipino | swahili | zulu | amharic | yoruba | hausa | latin | swedish
        | norwegian | danish | finnish | icelandic | irish gaelic | welsh | catalan | basque | croatian | serbian
        | bosnian | slovene slovenian | albanian | armenian | georgian | azerbaijani | kazakh | uzbek | mongolian
        | estonian | latvian | lithuanian | esperanto | sanskrit
    """,
    "country": """
        afghanistan afghan | albania albanian | algeria algerian | andorra | angola angolan
        | argentina argentinian argentine | armenia armenian | australia australian | austria austrian | azerbaijan
        | bahamas | bahrain | bangladesh bangladeshi | barbados | belarus belarusian | belgium belgian | belize
        | benin | bhutan | bolivia bolivian | bosnia | botswana | brazil brazilian | brunei | bulgaria bulgarian
        | burkina_faso | burundi | cambodia cambodian | cameroon | canada canadian | chile chilean | china chinese
        | colombia colombian | congo congolese | costa_rica | croatia croatian | cuba cuban | cyprus cypriot
        | czechia czech czech_republic | denmark danish | djibouti | dominican_republic dominican
        | ecuador ecuadorian | egypt egyptian | el_salvador salvadoran | estonia estonian | ethiopia ethiopian
        | fiji fijian | finland finnish | france french | gabon | gambia | germany german | ghana ghanaian
        | greece greek | greenland | guatemala guatemalan | guinea | guyana | haiti haitian | honduras honduran
        | hong_kong | hungary hungarian | iceland icelandic | india indian | indonesia indonesian | iran iranian
        | iraq iraqi | ireland irish | israel israeli | italy italian | ivory_coast | jamaica jamaican
        | japan japanese | jordan jordanian | kazakhstan | kenya kenyan | kosovo | kuwait kuwaiti | kyrgyzstan
        | laos | latvia latvian | lebanon lebanese | lesotho | liberia liberian | libya libyan | liechtenstein
        | lithuania lithuanian | luxembourg | madagascar | malawi | malaysia malaysian | maldives | mali
        | malta maltese | mauritania | mauritius | mexico mexican | moldova moldovan | monaco | mongolia mongolian
        | montenegro | morocco moroccan | mozambique | myanmar burma burmese | namibia | nepal nepalese nepali
        | netherlands dutch holland | new_zealand NZ kiwi | nicaragua | niger | nigeria nigerian | north_korea
        | north_macedonia macedonia | norway norwegian | oman omani | pakistan pakistani | palestine palestinian
        | panama panamanian | paraguay | peru peruvian | philippines filipino | poland polish | portugal portuguese
        | puerto_rico | qatar qatari | romania romanian | russia russian | rwanda rwandan | saudi_arabia saudi
        | scotland scottish | senegal | serbia serbian | sierra_leone | singapore singaporean | slovakia slovak
        | slovenia slovenian | somalia somali | south_africa | south_korea korea korean | spain spanish | sri_lanka
        | sudan sudanese | sweden swedish | switzerland swiss | syria syrian | taiwan taiwanese | tajikistan
        | tanzania tanzanian | thailand thai | tibet tibetan | togo | trinidad | tunisia tunisian | turkey turkish
        | turkmenistan | uganda ugandan | ukraine ukrainian | united_arab_emirates uae
        | united_kingdom uk great_britain britain british england english
        | united_states usa US USA america american | uruguay | uzbekistan | vatican | venezuela venezuelan
        | vietnam vietnamese | wales welsh | yemen yemeni | zambia zambian | zimbabwe
    """,
    "part of the world": """
        africa african | antarctica antarctic | asia asian | europe european | north_america
        | south_america latin_america | oceania | world worldwide global globally | arctic
        atlantic | pacific | indian_ocean | mediterranean
    """,
    "US state": """
        alabama | alaska | arizona | arkansas | california | colorado | connecticut | delaware | florida | hawaii
        | idaho | illinois | indiana | iowa | kansas | kentucky | louisiana | maine | maryland | massachusetts
        | michigan | minnesota | mississippi | missouri | montana | nebraska | nevada | new_hampshire
        | new_jersey nj | new_mexico | new_york nyc ny | north_carolina | north_dakota | ohio | oklahoma | oregon
        | pennsylvania | rhode_island | south_carolina | south_dakota | tennessee | texas | utah | vermont
        | virginia | washington | west_virginia | wisconsin | wyoming
    """,
    "city": """
        amsterdam | athens | atlanta | auckland | baghdad | baltimore | bangalore bengaluru | bangkok | barcelona
        | beijing | berlin | birmingham | bogota | boston | brussels | bucharest | budapest | buenos_aires | cairo
        | cape_town | chennai | chicago | copenhagen | dallas | delhi new_delhi | denver | detroit | doha | dubai
        | dublin | edinburgh | florence | frankfurt | geneva | glasgow | hamburg | hanoi | helsinki | hong_kong
        | houston | hyderabad | istanbul | jakarta | jerusalem | johannesburg | karachi | kiev kyiv | kolkata
        | kuala_lumpur | lagos | las_vegas vegas | lima | lisbon | liverpool | london | los_angeles | lyon | madrid
        | manchester | manila | marseille | melbourne | memphis | mexico_city | miami | milan | minneapolis
        | montreal | moscow | mumbai bombay | munich | nairobi | naples | nashville | new_orleans
        | new_york nyc manhattan brooklyn | orlando | osaka | oslo | ottawa | paris | perth | philadelphia | phoenix
        | pittsburgh | portland | prague | pune | rio_de_janeiro rio | rome | san_antonio | san_diego
        | san_francisco | san_jose | santiago | sao_paulo | seattle | seoul | shanghai | singapore | stockholm
        | sydney | taipei | tampa | tehran | tel_aviv | tokyo | toronto | vancouver | venice | vienna | warsaw
        | washington_dc | zurich
    """,
    "programming language": """
        python | java | javascript js | typescript ts | C | c++ cpp | c# csharp | Go golang | rust | ruby | php
        | perl | swift | kotlin | scala | haskell | R rlang | matlab | julia | lua | fortran | cobol | objective_c
        | dart | elixir | erlang | clojure | f# | bash | powershell | visual_basic vba | assembly assembler
    """,
    "software": """
        windows | mac macos osx macbook | linux | chromeos chromebook
        ubuntu | debian | fedora | centos | arch_linux | red_hat rhel | alpine
        android | ios iphone
        iphone | ipad | macbook | imac | apple_watch | airpods
        mysql mariadb | postgres postgresql | sqlite | oracle | mongodb mongo | sql_server mssql | redis | cassandra
        | dynamodb | elasticsearch
        chrome | firefox | safari | edge | opera | internet_explorer
        aws amazon_web_services | azure | gcp google_cloud
        react | angular | vue | svelte | jquery
        django | flask | fastapi | rails | laravel | spring_boot | express
        tensorflow | pytorch | keras | jax
        json | xml | yaml | csv | toml
        http | https | ftp | sftp | ssh
        tcp | udp
        html | css | sql
        gmail | hotmail outlook | yahoo | protonmail | icloud
        facebook | instagram | twitter | whatsapp | snapchat | tiktok | linkedin | youtube | reddit | quora
        | telegram | pinterest | tumblr | discord | slack | skype | zoom
        word | excel | powerpoint
        docker | kubernetes k8s | podman
        npm | yarn | pip | conda
        git | svn subversion | mercurial
        github | gitlab | bitbucket
        commit | push | pull | merge | rebase | stash | checkout | cherry_pick
        array | list | tuple | dictionary dict | hashmap | set
        integer int | float double | string | boolean bool
        dhcp | dns | vpn | nat
        ram | rom | ssd | hdd | cpu | gpu
        monitor screen | keyboard | mouse | printer | scanner | webcam
        bluetooth | wifi wi_fi | ethernet
    """,
    "company": """
        google | apple | microsoft | amazon | meta | netflix | tesla | nvidia | intel | amd | ibm | oracle | samsung
        | sony | huawei | xiaomi | nokia | dell | lenovo | asus | acer | uber | lyft | airbnb | spotify | ebay
        | walmart | target | costco | ikea | starbucks | mcdonald mcdonalds | burger_king | kfc | nike | adidas
        visa | mastercard | amex american_express | maestro | discover
        paypal | venmo | stripe | apple_pay | google_pay | western_union
        bmw | mercedes | audi | volkswagen vw | toyota | honda | ford | nissan | hyundai | kia | mazda | volvo
        | porsche | ferrari | tesla | chevrolet chevy | subaru | lexus
        netflix | hulu | disney_plus | hbo | prime_video
        ps4 ps5 playstation | xbox | nintendo
        harvard | yale | stanford | princeton | mit | oxford | cambridge | berkeley
    """,
    "person": """
        husband | wife
        boyfriend | girlfriend
        father dad daddy | mother mom mum mommy mummy
        son | daughter
        brother | sister
        uncle | aunt
        nephew | niece
        grandfather grandpa grandad | grandmother grandma granny
        man male guy | woman female | child kid | baby infant newborn | toddler | teenager teen | adult
        | elderly seniors
        boy | girl
        king | queen | prince | princess
        actor | actress
        employer | employee
        landlord | tenant
        teacher | student pupil
        doctor physician | nurse | dentist | patient | lawyer | engineer
        parent | child
        pregnant pregnancy | breastfeeding
        hindu hinduism | muslim islam islamic | christian christianity | jewish judaism jew | buddhist buddhism
        | sikh sikhism | atheist atheism
        democrat democratic | republican
    """,
    "animal": """
        dog puppy | cat kitten | horse | cow | pig | sheep | goat | chicken | duck | rabbit | hamster | mouse | rat
        | bird | fish | snake | lizard | frog | turtle | spider | bee | ant | wolf wolves | fox | bear | lion
        | tiger | elephant | monkey | shark | whale | dolphin | eagle
    """,
    "food": """
        beef | pork | chicken | lamb | turkey | tofu
        coffee | tea | beer | wine | vodka | whiskey whisky | rum | gin | milk | juice | soda
        apple | banana | orange | lemon | lime | grape | strawberry | mango | pear | peach | cherry
        butter | margarine | olive_oil | coconut_oil
        salt | sugar | pepper
        rice | pasta | bread | potato
        boil | fry fried | bake | grill | steam | roast
    """,
    "health": """
        aspirin | ibuprofen | paracetamol acetaminophen tylenol | naproxen | codeine | morphine
        diabetes | cancer | asthma | influenza flu | pneumonia | tuberculosis | malaria | hepatitis | hiv aids
        | covid coronavirus | measles | migraine | arthritis | depression | anxiety | schizophrenia | autism
        | dementia | alzheimer alzheimers | epilepsy | stroke | heart_attack | anemia anaemia | eczema | psoriasis
        heart | liver | kidney | lung | brain | stomach | skin | bladder | pancreas | thyroid
        knee | shoulder | hip | elbow | ankle | wrist | neck | chest
        arm | leg | hand | finger | toe
        ear | eye | nose | mouth | throat | tooth
        viral virus | bacterial bacteria | fungal fungus
        systolic | diastolic
        hyperthyroidism | hypothyroidism
        hypertension | hypotension
        hyperglycemia | hypoglycemia
        diarrhea diarrhoea | constipation
    """,
    "science": """
        mercury | venus | earth | mars | jupiter | saturn | uranus | neptune | pluto | moon | sun
        hydrogen | helium | lithium | carbon | nitrogen | oxygen | fluorine | neon | sodium | magnesium
        | aluminium aluminum | silicon | phosphorus | sulphur sulfur | chlorine | argon | potassium | calcium
        | titanium | chromium | manganese | iron | cobalt | nickel | copper | zinc | bromine | silver | tin | iodine
        | tungsten | platinum | gold | mercury | lead | uranium | plutonium
        methane | ethane | propane | butane
        methanol | ethanol | propanol
        proton | neutron | electron
        physics | chemistry | biology | mathematics math | history | geography | economics | psychology | philosophy
        velocity speed | acceleration
        mass | weight | volume | density
        area | perimeter circumference | volume
        mean | median
        sine | cosine | tangent
        integral | derivative
        numerator | denominator
        odd | even
        row | column
        mitosis | meiosis
        dna | rna
        noun | verb | adjective | adverb
    """,
    "colour": """
        red | blue | green | yellow | orange | purple violet | pink | brown | black | white | grey gray
    """,
    "sport": """
        football soccer | basketball | baseball | tennis | cricket | golf | hockey | rugby | volleyball | badminton
        | swimming | boxing | chess
    """,
    "transport": """
        car | bus | train | plane airplane flight | bicycle bike | motorcycle motorbike | taxi cab | ferry boat
        | subway metro underground | tram
        diesel | petrol gasoline | electric
    """,
    "document": """
        passport | visa | driving_licence driver_'s_license drivers_license driver_license | id_card
        | birth_certificate
        email | sms text_message | letter | fax
        pin | password passcode | username
        bachelor | masters master_'s | phd doctorate | mba
        song | album | playlist | movie film | book novel | podcast | video_game
    """,
    "grade": """
        bronze | silver | gold | platinum | diamond
        primary | secondary | tertiary
        beginner | intermediate | advanced | expert
    """,
}
"""Sets whose members exclude each other, by what they are: the name is what an operator reads in a reason."""
