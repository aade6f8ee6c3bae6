"""Texts that name two or more candidates: pairs, frames and whatever may stand between. For the tests of farming."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

PAIRS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "match": {
        # Names of places, people and works
        "places": [("Bergen", "Turku"), ("Nairobi", "Kampala"), ("Осло", "Рига")],
        "countries": [("Uruguay", "Laos"), ("Nauru", "Mali"), ("Chad", "Belize")],
        "states": [("Ohio", "Utah"), ("Maine", "Idaho")],
        "placed": [("Lima, Peru", "Quito, Ecuador"), ("Austin, Texas", "Salem, Oregon"),
                   ("Graz, Austria", "Lyon, France")],
        "features": [("Lake Victoria", "Lake Baikal"), ("Mount Elbrus", "Mount Logan"), ("the Volga", "the Danube")],
        "compass": [("North Korea", "South Korea"), ("East Timor", "West Papua"), ("New Jersey", "New Mexico")],
        "streets": [("14 Elm Street", "9 Oak Avenue"), ("Platform 3", "Gate 12")],
        "people": [("Ada Lovelace", "Grace Hopper"), ("Ingmar Bergman", "Akira Kurosawa"),
                   ("J. S. Bach", "G. F. Handel")],
        "initials": [("E. M. Forster", "D. H. Lawrence"), ("JFK", "LBJ"), ("W. Ruud Holm", "K. Ada Berg")],
        "kin": [("John Smith", "John Brown"), ("Ann Keller", "Tom Keller"), ("Charlotte Brontë", "Emily Brontë")],
        "apostrophes": [("O'Brien", "O'Hara"), ("D'Artagnan", "L'Estrange"), ("Levi's", "Wendy's"),
                        ("Lord's", "St. Paul's")],
        "hyphens": [("Jean-Luc Moreau", "Anne-Marie Petit"), ("Rolls-Royce", "Mercedes-Benz"),
                    ("Stoke-on-Trent", "Baden-Baden")],
        "particles": [("van Gogh", "da Vinci"), ("Ludwig van Beethoven", "Charles de Gaulle"),
                      ("bin Laden", "von Braun")],
        "titled": [("Henry VIII", "George III"), ("Pope Pius IX", "Queen Anne"), ("Dr. Watson", "Mr. Hyde")],
        "suffixes": [("Ken Griffey Jr.", "Harry Connick Jr."), ("Robert Hale III", "Sam Holt II")],
        "monikers": [("Prince", "Madonna"), ("will.i.am", "deadmau5"), ("50 Cent", "2 Chainz"), ("P!nk", "Ke$ha")],
        "works": [("Middlemarch", "Wuthering Heights"), ("The Tempest", "King Lear"), ("Pink Floyd", "The Kinks")],
        "of works": [("Of Mice and Men", "Pride and Prejudice"), ("War and Peace", "Crime and Punishment"),
                     ("The Call of the Wild", "Lord of the Flies"), ("Either/Or", "Franny and Zooey")],
        "short works": [("It", "Us"), ("Her", "Him"), ("Up", "If"), ("Then", "Now"), ("Well", "Good"),
                        ("After", "Before")],
        "sentences as works": [("The Sun Also Rises", "Things Fall Apart"), ("I Am Legend", "We Were Soldiers"),
                               ("Let It Be", "Hey Jude"), ("As I Lay Dying", "Here We Go Again")],
        "marked works": [("Who's Afraid?", "What's Up, Doc?"), ("Oklahoma!", "Oliver!"),
                         ("Kill Bill: Vol. 1", "Se7en"), ("Mamma Mia!", "Hello, Dolly!")],
        "numbered works": [("1984", "2666"), ("Catch-22", "Fahrenheit 451"), ("Symphony No. 5", "Sonata No. 14"),
                           ("Rocky II", "Jaws 3"), ("Chapter 4", "Chapter 9")],
        "numbered": [("Apollo 11", "Gemini 4"), ("Maroon 5", "Blink-182"), ("Airbus A320", "Embraer E190"),
                     ("Seven Samurai", "Twelve Monkeys")],
        "characters": [("Sherlock Holmes", "Hercule Poirot"), ("the Joker", "the Penguin"), ("Zeus", "Odin")],
        "disambiguated": [("Mercury (planet)", "Mercury (element)"), ("House (MD)", "House (TV)"),
                          ("Iron(II)", "Iron(III)")],
        "number first": [("3M", "GE"), ("7-Eleven", "Shell"), ("4chan", "8chan"),
                         ("101 Dalmatians", "Bambi")],
        "teams": [("Leeds United", "Hull City"), ("Boston Red Sox", "Chicago Cubs"), ("Real Madrid", "Inter Milan")],
        "bands": [("Simon & Garfunkel", "Hall & Oates"), ("AC/DC", "ZZ Top"), ("Guns N' Roses", "The Who")],
        "brands": [("iPhone", "eBay"), ("adidas", "lululemon"), ("IKEA", "LEGO"), ("Coca-Cola", "7 Up")],
        "firms": [("Holt & Sons", "Marsh Ltd."), ("Acme Inc.", "Borel AG"), ("Barnes & Noble", "Procter & Gamble")],
        "bodies": [("Bank of Norway", "Society for Old Music"), ("Institute of Physics", "Office for Fair Trade"),
                   ("Ministry of Defence", "Ministry of Health")],
        "universities": [("University of Turku", "University of Bergen"), ("Yale University", "Duke University")],
        "parties": [("Labour Party", "Green Party"), ("the Whigs", "the Tories")],
        "near spellings": [("Iran", "Iraq"), ("Austria", "Australia"), ("Slovakia", "Slovenia"), ("Niger", "Nigeria")],
        "near names": [("Manet", "Monet"), ("Hansen", "Jansen"), ("Bahamas", "Bermuda"), ("Marie", "Maria")],
        "near nouns": [("alligator", "allocator"), ("mitosis", "meiosis"), ("stalactite", "stalagmite")],
        # Common nouns, deeds and descriptions
        "nouns": [("neon", "argon"), ("cello", "trumpet"), ("chess", "judo"), ("violin", "bassoon")],
        "more nouns": [("copper", "iron"), ("whale", "otter"), ("oak", "birch"), ("rice", "wheat"),
                       ("liver", "kidney")],
        "plurals": [("dogs", "horses"), ("apples", "pears"), ("teeth", "bones"), ("triangles", "squares")],
        "compounds": [("T-shirt", "X-ray"), ("mother-in-law", "runner-up"), ("e-mail", "U-boat")],
        "phrases": [("black pepper", "sea salt"), ("prime minister", "chief justice"),
                    ("red blood cells", "bile ducts"), ("freedom of speech", "right to vote"),
                    ("a pair of shoes", "a bag of flour")],
        "long phrases": [("the speed of light in water", "the mass of a free neutron"),
                         ("a small red fox", "a large grey owl"),
                         ("lack of clean drinking water", "loss of winter pasture")],
        "deeds": [("swimming", "running"), ("to build a bridge", "to dig a tunnel"), ("singing", "dancing")],
        "deeds done": [("fell off a horse", "drowned in a lake"), ("by boat", "on foot"),
                       ("stole bread", "sold guns")],
        "purposes": [("to save money", "to win votes"), ("because of the war", "due to bad weather"),
                     ("for his health", "for more pay")],
        "adjectives": [("brittle", "elastic"), ("left-handed", "bald"), ("acidic", "alkaline"), ("up", "down")],
        "colours": [("red", "blue"), ("dark green", "pale yellow"), ("orange", "violet")],
        "languages": [("Finnish", "Basque"), ("Old Norse", "Latin"), ("Swahili", "Urdu")],
        "nationalities": [("French", "German"), ("Italian", "Spanish"), ("American", "British"),
                          ("a Dane", "a Swede"), ("Chilean", "Peruvian")],
        "professions": [("painter", "lawyer"), ("a nurse", "a baker"), ("civil engineer", "opera singer")],
        "roles": [("his brother", "her uncle"), ("the goalkeeper", "the referee"),
                  ("a farmer's son", "a king's nephew"), ("their king", "our queen")],
        "pronouns": [("he", "she"), ("me", "you"), ("everyone", "nobody"), ("something", "nothing")],
        "species": [("Homo sapiens", "Pan troglodytes"), ("Canis lupus", "Felis catus"), ("E. coli", "S. aureus")],
        "chemicals": [("sodium chloride", "potassium nitrate"), ("2-propanol", "1-butanol"),
                      ("sulfuric acid", "acetone")],
        "religions": [("Islam", "Hinduism"), ("Quakers", "Baptists")],
        "styles": [("Baroque", "Cubism"), ("jazz", "folk rock"), ("Art Deco", "Bauhaus")],
        "polar": [("Yes", "No")],
        "truth": [("True", "False")],
        # Letters and signs
        "letters": [("BMW", "NEC"), ("IKEA", "FIFA")],
        "dotted": [("U.S.A.", "U.K."), ("U.N.C.L.E.", "S.H.I.E.L.D."), ("a.m.", "p.m.")],
        "single letters": [("q", "z"), ("K", "W"), ("α", "ω")],
        "notes": [("C-sharp", "B-flat"), ("F#", "E♭"), ("D minor", "G major")],
        "codes": [("NL-05", "NL-08"), ("VH1", "MTV"), ("M31", "K207")],
        "versions": [("v1.2", "v2.0"), ("3.11.4", "3.12.1"), ("Python 3.9", "Java 17"), ("iOS 12", "HTML5")],
        "roads": [("SH-155", "SH-160"), ("Route 66", "Highway 1"), ("A1", "M25"), ("I-95", "US 40")],
        "formats": [("mp3", "png"), ("utf8", "ascii"), ("h264", "av1")],
        "models": [("Boeing 747", "Boeing 737"), ("Canon EOS 5D", "Nikon D850"), ("BMW M3", "Audi A4"),
                   ("PS5", "N64")],
        "formulae": [("H2O", "CO2"), ("NaCl", "KNO3"), ("C6H12O6", "CH4"), ("Fe2+", "Cu+"), ("U-235", "C-14")],
        "genes": [("BRCA1", "TP53"), ("HLA-B27", "CD4"), ("vitamin B12", "vitamin K2"), ("H1N1", "H5N1")],
        "plates": [("ISO 9001", "RFC 2616"), ("BN-2041-X", "QT-88-Z"), ("4F", "7C"), ("0x1F", "0b101")],
        "grades": [("A+", "B-"), ("AAA", "BB+"), ("C+", "C-"), ("Type O", "Type AB"), ("O negative", "AB positive")],
        "moves": [("e4", "Nf3"), ("Qxd5", "O-O"), ("royal flush", "full house")],
        "symbols": [("@", "#"), ("→", "∞"), ("$", "€"), ("π", "∑")],
        "emoji": [("🐶", "🐱"), ("🎉", "🔥"), ("👍", "👎")],
        "urls": [("https://lind.example/a", "https://moor.example/b"), ("holt.example", "berg.example"),
                 ("www.fell.example", "www.dale.example")],
        "addresses": [("ann@holt.example", "bo@berg.example"), ("@annholt", "@boberg"), ("10.0.0.1", "10.0.4.7")],
        "files": [("main.py", "setup.cfg"), ("/etc/hosts", "/var/log"), (r"C:\temp", r"D:\data"),
                  ("README.md", ".bashrc")],
        "code": [("print(x)", "len(y)"), ("`x += 1`", "`y -= 2`"), ("ls -l", "rm -rf"), ("O(n)", "O(log n)"),
                 ("int", "str"), ("for", "while"), ("&&", "||")],
        "named code": [("my_func", "your_func"), ("getName", "setValue"), ("numpy.array", "torch.tensor"),
                       ("<div>", "<p>"), ("C++", "C#")],
        "equations": [("x = 3", "x = 5"), ("E = mc^2", "F = ma"), ("2x + 1", "3x - 4"), ("a + b", "c - d")],
        "latex": [(r"\frac{1}{2}", r"\frac{3}{4}"), (r"$\sqrt{2}$", r"$\sqrt{3}$"), (r"\alpha", r"\beta")],
        # Numbers, times and amounts
        "numbers": [("17", "23"), ("1931", "1947"), ("540", "12")],
        "near years": [("1931", "1932"), ("2008", "2009"), ("1066", "1067")],
        "number words": [("seventeen", "twenty-three"), ("two", "eleven"), ("a dozen", "a hundred"), ("zero", "nine")],
        "dates": [("4 May 1931", "9 June 1947")],
        "American dates": [("May 4, 1931", "June 9, 1947"), ("12/25/1931", "07/14/1947")],
        "days": [("4th of May", "9th of June"), ("12 March", "3 August"), ("Christmas Eve", "Labour Day")],
        "months of years": [("May 1931", "June 1947"), ("spring 1931", "autumn 1947")],
        "eras": [("44 BC", "79 AD"), ("AD 410", "300 BCE"), ("the Bronze Age", "the Ming dynasty")],
        "centuries": [("19th century", "18th century"), ("the 1930s", "the 1950s"),
                      ("twelfth century", "ninth century")],
        "months": [("May", "October"), ("March", "August"), ("January", "July")],
        "weekdays": [("Monday", "Friday"), ("Sunday", "Wednesday")],
        "seasons": [("spring", "autumn"), ("summer", "winter")],
        "ordinals": [("first", "second"), ("7th", "5th"), ("twelfth", "third")],
        "ranks": [("first place", "second place"), ("the third time", "the fourth time"), ("last", "next")],
        "romans": [("XIV", "XIX"), ("iv", "vii"), ("World War I", "World War II"), ("Super Bowl XL", "Super Bowl LI")],
        "fractions": [("1/2", "3/4"), ("two thirds", "one quarter"), ("one eighth", "five ninths")],
        "shares": [("12%", "15%"), ("40 percent", "60 percent"), ("0.5%", "2.5%")],
        "money": [("$12", "$15"), ("€3.50", "€4.20"), ("5 million dollars", "8 million dollars"), ("£20", "¥900")],
        "times": [("4:30 pm", "6:15 am"), ("noon", "midnight"), ("14:05", "09:50"), ("8 o'clock", "11 o'clock")],
        "durations": [("53:44", "51:10"), ("4 years 122 days", "3 years 10 days"), ("two weeks", "six months"),
                      ("1 h 35 min", "2 h 5 min"), ("20 minutes", "45 minutes")],
        "ranges": [("1995-1997", "1999-2001"), ("10 to 12", "15 to 17"), ("1914–1918", "1939–1945"), ("5–7", "8–9")],
        "ages": [("34 years old", "51 years old"), ("aged 12", "aged 15"), ("in her twenties", "in her forties")],
        "scores": [("3-1", "2-0"), ("6–4, 6–3", "7–5, 6–2"), ("21:19", "21:15"), ("4 to 2", "5 to 3")],
        "odds": [("7 to 2", "9 to 4"), ("3:1", "5:2"), ("1 in 6", "1 in 8")],
        "coordinates": [("51.5° N, 0.1° W", "40.7° N, 74.0° W"), ("48°51′N", "52°31′N"), ("(3, 4)", "(5, 12)"),
                        ("[2, 9]", "[5, 6]")],
        "heights": [("6 ft 2 in", "5 ft 11 in"), ("1.85 m", "1.72 m"), ("6'4\"", "5'1\"")],
        "distances": [("10 km", "10 miles"), ("12 km", "15 km")], "weights": [("3 kg", "5 lb"), ("40 kg", "4 kg")],
        "other units": [("5 kW", "9 kW"), ("7 kW", "3 kW")], "speeds": [("90 mph", "60 mph")],
        "sizes": [("4 GB", "9 GB")],
        "counted": [("827 seats", "640 seats"), ("three sons", "two daughters"), ("12 goals", "7 assists"),
                    ("sixteen chapters", "nine chapters")],
        "big numbers": [("3.5 million", "4.5 million"), ("1,200", "1,300"), ("two billion", "six thousand"),
                        ("10^6", "10^9")],
        "negatives": [("-5", "-8"), ("+7", "-7"), ("3.14", "2.72")],
        "measured names": [("Level 5", "Level 9"), ("size 40", "size 44"), ("No. 10", "No. 12"),
                           ("page 31", "page 87")],
        # Lists and sentences
        "pairs": [("red and blue", "green and white"), ("salt and vinegar", "milk and honey"),
                  ("Ann and Bo", "Cy and Di")],
        "lists": [("Ann Lee, Bo Ray", "Cy Fox, Di Orr"), ("iron, zinc, tin", "gold, lead, mercury"), ("A, B", "C, D")],
        "sentences": [("The seeds float on water.", "A bird eats the fruit."), ("It froze.", "It melted."),
                      ("Water boils at a lower temperature.", "Air pressure rises with depth."),
                      ("He left the army", "She sold the house")],
        "quotations": [("I think, therefore I am", "To be or not to be"), ('"Call me Ahab"', '"All happy days"'),
                       ("Don't panic", "Carry on")],
        # Other scripts
        "han": [("札幌", "福岡"), ("南京", "杭州")],
        "one han": [("金", "銀"), ("山", "川"), ("三", "五"), ("红", "蓝")],
        "long han": [("北京大学", "清华大学"), ("诺贝尔奖", "图灵奖"), ("夏目漱石", "川端康成"),
                     ("二十三人", "十七人")],
        "marked han": [("《红楼梦》", "《水浒传》"), ("1998年", "2003年"), ("三月", "八月"), ("东野·圭一", "大卫·李")],
        "kana": [("ベルリン", "マドリード")],
        "more kana": [("すし", "うどん"), ("さくら", "うめ"), ("コーヒー", "ビール"), ("食べる", "走る"),
                      ("ア", "ン")],
        "hangul": [("대전", "부산")],
        "more hangul": [("이순신", "세종대왕"), ("1998년", "2003년"), ("김", "박"), ("서울 대학교", "부산 대학교")],
        "thai": [("เชียงใหม่", "ภูเก็ต"), ("แมว", "หมา"), ("สีแดง", "สีเขียว")],
        "arabic": [("القاهرة", "بغداد"), ("قطة", "كلب"), ("نجيب محفوظ", "طه حسين")],
        "hebrew": [("חיפה", "אילת"), ("כלב", "חתול")],
        "devanagari": [("जयपुर", "पुणे"), ("बिल्ली", "कुत्ता"), ("लाल किला", "चार मीनार")],
        "greek": [("Πάτρα", "Βόλος"), ("γάτα", "σκύλος")],
        "cyrillic": [("Лев Толстой", "Иван Бунин"), ("кошка", "собака"), ("Київ", "Львів")],
        "other scripts": [("ქუთაისი", "ბათუმი"), ("Գյումրի", "Վանաձոր"), ("মধু", "দুধ"), ("சென்னை", "மதுரை")],
        "vietnamese": [("Nguyễn Du", "Hồ Xuân Hương"), ("Đà Nẵng", "Cần Thơ"), ("Trần Hưng Đạo", "Lê Lợi")],
        "accents": [("Málaga", "Cádiz"), ("Łódź", "Poznań"), ("São Tomé", "Bogotá"), ("İzmir", "Muğla")],
        "foreign nouns": [("Katze", "Hund"), ("le chat", "le chien"), ("el perro", "la vaca"), ("hiver", "été")],
    },
    "exact": {
        "names": [("Bergen", "Turku")], "nouns": [("neon", "argon")], "years": [("1931", "1947")],
        "signs": [("@", "#"), ("🐶", "🐱"), ("C++", "C#"), ("->", "=>")],
        "codes": [("v1.2", "v2.0"), ("NL-05", "NL-08")], "han": [("札幌", "福岡"), ("金", "銀")],
        "works": [("It", "Us"), ("Either/Or", "The Who"), ("Of Mice and Men", "War and Peace")],
    },
    "f1": {
        "names": [("Bergen", "Turku")], "nouns": [("neon", "argon")],
        "phrases": [("a small red fox", "a large grey owl")],
        "people": [("Ada Lovelace", "Grace Hopper"), ("John Smith", "Mary Brown"), ("O'Brien", "Jean-Luc Moreau")],
        "works": [("Of Mice and Men", "War and Peace"), ("It", "Us"), ("The Who", "Either/Or"),
                  ("Let It Be", "Not Now")],
        "codes": [("NL-05", "SH-160"), ("v1.2", "v2.0"), ("H2O", "CO2"), ("Apollo 11", "Gemini 4")],
        "numbers": [("17", "23"), ("1,200", "1,300"), ("4 years 122 days", "3 weeks"), ("19th century", "the 1950s")],
        "deeds": [("to build a bridge", "to dig a tunnel"), ("swimming", "running")],
        "sentences": [("The seeds float on the water for days.", "A hungry bird eats all of the fruit."),
                      ("Water boils at a lower temperature up there", "Cold air sinks into narrow valleys at night")],
        "scripts": [("札幌", "福岡"), ("夏目漱石", "川端康成"), ("เชียงใหม่", "ภูเก็ต"), ("القاهرة", "بغداد"),
                    ("金", "川")],
        "signs": [("🐶", "🐱"), ("@", "#"), ("x = 3", "y = 5"), ("yes", "no")],
        "lists": [("red and blue", "green and white"), ("Ann Lee, Bo Ray", "Cy Fox, Di Orr")],
    },
    "numeric": {
        "counts": [("17", "23"), ("1,200", "1,300")], "scaled": [("3.5 million", "4.5 million")],
        "lengths": [("12 km", "15 km")], "shares": [("12%", "15%")],
        "near": [("1931", "1932"), ("100", "102"), ("0.5", "0.6")],
        "words": [("seventeen", "twenty-three"), ("two", "eleven")],
        "money": [("$12", "$15"), ("€3.50", "€4.20"), ("20 dollars", "30 dollars")],
        "durations": [("4 years 122 days", "3 years 10 days"), ("20 minutes", "45 minutes")],
        "heights": [("6 ft 2 in", "5 ft 11 in"), ("1.85 m", "1.72 m")],
        "distances": [("10 km", "10 miles")], "weights": [("3 kg", "5 lb")],
        "fractions": [("1/2", "3/4"), ("two thirds", "one quarter")],
        "ordinals": [("19th", "18th"), ("first", "third")], "negatives": [("-5", "-8"), ("3.14", "2.72")],
        "powers": [("7e5", "4e9"), ("3 × 10^8", "6 × 10^23"), ("10^6", "10^9")],
        "counted": [("827 seats", "640 seats"), ("three sons", "five sons")],
        "degrees": [("12 °C", "15 °C"), ("90°", "45°")], "Arabic digits": [("١٧", "٢٣")],
        "Devanagari digits": [("१७", "२३")], "han": [("十七", "二十三"), ("３人", "５人")],
        "dozens": [("a dozen", "a hundred"), ("two dozen", "three dozen")], "ages": [("34 years old", "51 years old")],
    },
    "date": {
        "years": [("1931", "1947")], "days": [("4 May 1931", "9 June 1947"), ("1950-05-04", "1962-06-09")],
        "months": [("May 1931", "June 1947")], "near": [("1931", "1932")], "near days": [("4 May 1931", "5 May 1931")],
        "American": [("May 4, 1931", "June 9, 1947"), ("05/14/1931", "06/19/1947")],
        "yearless": [("4 May", "9 June"), ("August 12th", "October 3rd")],
        "centuries": [("19th century", "18th century"), ("the 1930s", "the 1950s")],
        "eras": [("44 BC", "300 BC"), ("AD 79", "AD 410")], "seasons": [("spring 1931", "autumn 1947")],
        "bare": [("May", "October")], "han": [("1931年5月4日", "1947年6月9日"), ("1998年", "2003年")],
        "foreign": [("4 mai 1931", "9 juin 1947"), ("12. Mai 1961", "3. Juni 1957")],
        "times": [("4 May 1931, 4:30 pm", "9 June 1947, 6:15 am")],
    },
    "choice": {
        "letters": [("B", "D"), ("A", "C")], "more letters": [("E", "G"), ("H", "J"), ("F", "I")],
        "small": [("b", "d"), ("a", "c")], "numbers": [("1", "3"), ("2", "4")],
        "bracketed": [("(B)", "(D)"), ("A.", "C.")], "romans": [("ii", "iv"), ("iii", "v")],
        "worded": [("B) Turku", "D) Bergen"), ("A. neon", "C. argon")],
        "sets": [("A and C", "B and D"), ("A, B", "C, D")],
        "options": [("Answer B", "Answer D"), ("Answer A", "Answer C")],
    },
    "math": {
        "numbers": [("3", "5"), ("-7", "12"), ("1024", "729")],
        "equations": [("x = 3", "x = 5"), ("y = 2x + 1", "y = 3x - 4")],
        "fractions": [(r"\frac{1}{2}", r"\frac{3}{4}"), ("1/3", "2/5"), (r"$\frac{7}{9}$", "0.25")],
        "roots": [(r"2\sqrt{3}", r"5\sqrt{2}"), ("sqrt(5)", "sqrt(7)")],
        "constants": [(r"\pi", "e"), (r"2\pi", r"\frac{\pi}{3}")],
        "intervals": [("(1, 2)", "[3, 5)"), (r"(-\infty, 0)", r"[4, \infty)")],
        "sets": [(r"\{1, 2\}", r"\{3, 4\}"), ("5, 6", "7, 8")],
        "expressions": [("x^2 + 1", "x^3 - 2"), ("(x-1)(x+4)", "(x+2)(x-3)"), ("n!", "2^n")],
        "complex": [("3 + 4i", "1 - 2i")], "letters": [("x", "y"), ("a", "b")],
        "degrees": [(r"90^\circ", r"45^\circ"), ("12%", "15%")], "units": [("12 km", "15 km")],
        "boxes": [(r"\boxed{3}", r"\boxed{5}"), (r"\(7\)", r"\(8\)")],
        "inequalities": [("x > 3", "x < -5"), (r"n \le 4", r"n \ge 9")],
        "texts": [("even", "odd"), (r"\text{Monday}", r"\text{Friday}"), ("Ann", "Bo")],
    },
}  # fmt: skip
WEIGHTS = {"match": 24, "exact": 1, "f1": 3, "numeric": 4, "date": 3, "choice": 2, "math": 1}
FRAMES = (
    "{}", "{}.", "It is {}.", "The answer is {}.", "Answer: {}", "I think it's {}", "It was {}!", "Probably {}.",
    "**{}**", '"{}"', "It's {}, I believe.", "The capital is {}.", "He was born in {}.", "My guess: {}",
    "答えは{}です", "答案是{}。", "{} (I am sure)", "<b>{}</b>", "- {}", "{}\n",
)  # fmt: skip
ASKED = (  # a question, and its words before each candidate
    ("What is the capital of Norway?", "The capital of Norway is {}"),
    ("Who wrote Emma?", "Emma was written by {}"),
    ("When was the Harlow Bridge opened?", "The Harlow Bridge was opened in {}"),
    ("Which of them came first?", "{} came first"),
    ("What is it called?", "It is called {}"),
)
KNOWN = (
    " or ", " and ", ", ", "; ", " / ", "\n", "\n\n", " maybe ", " probably ", " could be ", " perhaps ", ". Or ",
    ". ",
    "? ", "! ", " - ", " — ", ": ", " | ", " + ", " & ", " = ", " -> ", " => ", " vs. ", " (", " [", ") ", " aka ",
    " also ", " plus ", ". Also ", ". Maybe ", " then ", " otherwise ", " if not ", " unless ", " xor ", " o ", " ou ",
    " och ", " или ", " oder ", "、", "と", "か", "や", "または",
    "和", "或", "或者", "，", "。", "·", " <br> ", "<br>", "</b><b>",
    "\t", "  ", " ", " like ", " x ", " n ", " to ", " but ", " but also ", " as well as ", " rather ", " sometimes ",
    "... ", "…", " 🤔 ", "🙂", " ~ ", " * ", "**, **", "** **", "`, `", " even ", " nor ", " yet ", " so ",
    " not only but ",
    ", more likely ", ", less likely ", " 50%, ", " 50 %, 50 % ", ", my second guess is ", ", or even ",
    " alternatively ",
    ", failing which ", "; some say ", "; others say ", "\nor\n", "\n- ", "\n2. ", " 2) ", "\nAnswer: ", " Answer: ",
    "</answer><answer>", "\n\nAnother option: ", " hmm ", " um ", " uh ", " er ", " well ", " wait ", " is ", " was ",
)  # fmt: skip


def _words(text: str) -> list[str]:
    return text.split()


MIXED = {  # kinds whose pairs are of several sorts, so that a row of them answers no question
    *_words("ages times ranks eras code brands files greek versions formats monikers coordinates notes"),
    "measured names", "other scripts", "single letters", "numbered works", "number first",
}  # fmt: skip
VOCABULARY = _words(
    """
    banana table river quickly green sees with from under because running seven tall and the of in on by
    which that who when while after before near over into onto upon despite during without within across
    toward like unlike per wonder tasty blorp zyx qwerty foo lorem ipsum also too very much many more less
    than same other such only just first second third next last best top main big small old new good bad
    true false right wrong yes no ok sure pues entonces aber doch nicht auch peut quizas forse talvez kanske
    ehkä belki może або или maar eller vagy ili certainly possibly apparently seemingly presumably
    supposedly allegedly technically basically honestly literally beside between among along against via
    versus alias called named known formerly later earlier now today candidate option choice guess pick
    answer reply response alternative possibility contender runner-up
    """
)
SCRIPTS = (
    "абвгдежзиклмнопрстуфхцчшыэюяαβγδεζηθικλμνξοπρστυφχψωאבגדהוזח"
    "טיכלמנסעפצקרשתابتثجحخدذرزسشصضطظعغفقكلمنهويกขคงจฉชซญดตถทธนบปผ"
    "พฟมยรลวศสหอฮ가나다라마바사아자차카타파하"
)
SIGNS = (
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿§¶†‡•‰‹›€™←↑→↓⇒∀∂∃∅∈∑−√∞∩∪"
    "≈≠≡≤≥⋅⌘■□▲△●○★☆♠♥♦♪✓✗➜《》「」【】〜ー・！？（）：；，．"
)
SPACES = " \t\n\u00a0\u2003\u200b\u200d\u2028\u3000\ufeff"


@dataclass(frozen=True)
class TwoCandidates:
    """A text that names the candidates, without a choice between them."""

    text: str
    candidates: tuple[str, ...]
    grader: str
    separator: str
    question: str = ""


def random_separator(rng: random.Random) -> str:
    """Known words and signs, one to three words of a vocabulary, a row of signs, letters of another script."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(KNOWN)
    if kind < 0.65:
        return f" {' '.join(rng.choices(VOCABULARY, k=rng.choice((1, 1, 1, 2, 3))))} "
    if kind < 0.8:
        around = rng.choice(("", " "))
        return around + "".join(rng.choices(SIGNS, k=rng.randint(1, 3))) + around
    if kind < 0.9:
        return f" {''.join(rng.choices(SCRIPTS, k=rng.randint(1, 5)))} "
    if kind < 0.95:
        return "".join(rng.choices(SPACES, k=rng.randint(1, 3)))
    any_sign = (chr(rng.choice((rng.randint(0x21, 0x2FFF), rng.randint(0x1F300, 0x1FAFF)))) for _ in range(2))
    return " " + "".join(c for c in any_sign if c.isprintable()) + " "


def texts(seed: int, count: int) -> Iterator[TwoCandidates]:
    """Texts with two candidates, and one in five with three to six."""
    rng = random.Random(seed)
    for _ in range(count):
        grader = rng.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]
        kind = rng.choice(list(PAIRS[grader]))
        pairs = PAIRS[grader][kind]
        named = list(rng.choice(pairs))
        rng.shuffle(named)
        between = random_separator(rng)
        if rng.random() < 0.2 and kind not in MIXED:
            others = [name for pair in pairs for name in pair if name not in named]
            named += rng.sample(others, min(len(others), rng.randint(1, 4)))
        asked, said = rng.choice(ASKED) if rng.random() < 0.25 else ("", "{}")
        repeated = rng.random() < 0.5
        row = between.join(said.format(name) if repeated else name for name in named)
        frame = rng.choice(FRAMES) if not asked else "{}" if repeated else said
        yield TwoCandidates(frame.format(row), tuple(named), grader, between, asked)
