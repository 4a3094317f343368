"""The vocabulary of the bring-up model: 36 words, and the words that must not be taken for them."""

DIGITS = "zero one two three four five six seven eight nine".split()
COMMANDS = "yes no up down left right on off stop go".split()
OTHERS = ("sheila happy wow cat tree house bird bed marvin dog forward learn follow backward "
          "visual label").split()
WORDS = DIGITS + COMMANDS + OTHERS  # the index is the class

# Spoken by the synthesizers as negatives: everyday words, rhymes and near misses of the 36.
UNKNOWN = """
about above after again air all always and animal answer any apple around ask away baby back ball bank bat bean beach
because before begin behind best big bit black blue boat body book both box boy bring brother brown but buy call came can
car carry change children city class close cold color come cook could country cup cut dark day deep did different dinner
do doll door draw drink drop dust each early earth east easy eat egg end enough even every eye face fall family far farm
fast father feet few field fill find fine finger fire first fish floor flower fly food foot form fort found friend from
full game garden gave get girl give glad glass gold gone good got great green ground group grow guitar had hair half hand
hard hat have head hear heart heat help her here high hill him his hold home hope horse hot hour how hundred hurry ice
idea inside into iron island jump just keep kept kind king knife lake land large last late laugh lay lead leaf letter
life lift light like line list little live long look lost love low lunch machine made make man many map mark may mean
meet men might mile milk mind minute money moon more morning most mother mountain mouth move much music must name near
neck need never next nice night north nose note now number ocean often old only open orange order other our out over own
page paint paper park part party pass past pen people person pick picture piece place plane plant play please point pony
power pull push put question quick quiet rain ran read ready red rest ride river road rock roll room round row run sad
said sail salt same sand sat saw say school sea second see seed sell send sentence set shape she sheep ship shirt shoe
shop short should show sick side sign silver sing sister sit size skin sky sleep slow small smile snow soft some song
soon sound south space speak spell spring stand star start state stay steal step still stock stone story street strong
such sugar summer sun sure swim table take talk tall teach tell ten test thank that the their then there they thing think
this those thought thousand thumb time tiny today together told took town toy travel truck true try turn uncle under
until use valley very visit voice wait walk wall want war warm was watch water wave way wear weather week well went were
west wheel when where white who why wife wild will wind window winter wish with woman wonder wood word work world worry
year yellow young your bread candle copper engine ladder lesson pepper rabbit ribbon sailor saddle sample shadow silent
simple ticket tunnel velvet wagon yonder hello please goodbye welcome mail password extension transfer busy menu star
pound agent conference dial minutes hours message messages recorded deleted saved calls account press key invalid
""".split()
