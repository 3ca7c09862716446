"""The final numbers of the 42 runs of the paper this tool grew out of: facts, for comparison and overlays.

Source: Deshpande, Pechi, Thatte, Lialin, Rumshisky, "Honey, I Shrunk the Language: Language Model Behavior at Reduced
Scale", Findings of ACL 2023, arXiv 2305.17266, from its authors' result files. `tie` follows from the parameter counts
(7 runs are tied). The perplexity counts padding positions, so it lies far below that of masked tokens alone, and is
not comparable with a run that was not trained and evaluated with `recipe = "paper"`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .broken import BrokenResult

CITATION = "Deshpande et al. 2023, Findings of ACL, arXiv 2305.17266"

UPDATES, WARMUP = 35_475, 1_773
"""Updates of each run's schedule (one epoch), and of its linear warm-up."""

PUBLISHED_BREAK = 2.2e15
"""FLOPs (counting `paper`): the break of its Figure 1."""
PUBLISHED = {"A1": 79.2, "a1": 0.093, "A2": 382.0, "a2": 0.141}
"""Its Figure 1: L = A1 C^-a1 below the break and A2 C^-a2 above it."""


@dataclass(frozen=True, kw_only=True)
class PaperRun:
    """One run: shape (E embedding, H hidden, I intermediate, A heads, L layers), tie `none` or `full`, FLOPs by the
    counting `paper` (of a sequence of 128 tokens, and of the whole run), test perplexity."""

    name: str
    E: int
    H: int
    I: int  # noqa: E741  the paper's symbol
    A: int
    L: int
    tie: str
    params: int
    flops_per_sequence: int
    flops_total: int
    test_perplexity: float


def paper_runs() -> tuple[PaperRun, ...]:
    """The 42 runs, in the order of the authors' file."""
    found = []
    for line in _ROWS.split():
        name, *shape, tie, params, per_sequence, total, perplexity = line.split(",")
        e, h, i, a, layers = map(int, shape)
        found.append(
            PaperRun(
                name=name, E=e, H=h, I=i, A=a, L=layers, tie=tie, params=int(params),
                flops_per_sequence=int(per_sequence), flops_total=int(total), test_perplexity=float(perplexity),
            )
        )  # fmt: skip
    return tuple(found)


def against_published(result: BrokenResult) -> str:
    """One sentence: does the interval of the break hold the published one?"""
    low, high = result.break_interval
    inside = low <= PUBLISHED_BREAK <= high
    return (
        f"the published break of {PUBLISHED_BREAK:.3g} FLOPs lies {'inside' if inside else 'outside'} the 95 % interval "
        f"{low:.3g} to {high:.3g} (resampling {result.clusters} runs)"
    )


_ROWS = """
genial-voice-1,256,256,1024,8,8,full,11304258,12165316608,110480539307212800,4.799142320246356
clean-sky-2,256,256,1024,1,8,full,11304258,12157059072,110405547668275200,4.7360295938837895
polar-sponge-3,256,256,1024,2,8,full,11304258,12158238720,110416260759552000,4.673005339338952
young-glitter-16,256,128,1024,8,8,none,10041922,7654146048,69511892749516800,5.880639143695992
devout-deluge-19,256,64,1024,8,8,none,7349826,5625053184,51084482995814400,7.557650474164684
magic-bee-26,32,32,64,1,1,none,1250722,943964160,8572704915456000,22.434051649313577
electric-sponge-29,32,32,128,1,1,none,1254882,947109888,8601273158860800,21.48325118280673
twilight-wildflower-11,32,256,1024,8,8,none,11891522,8850948096,80380770228633600,5.600978970485169
helpful-violet-12,64,256,1024,8,8,none,12512322,9324429312,84680737239859200,5.307727741922099
feasible-surf-14,128,256,1024,8,8,none,13753922,10271391744,93280671262310400,5.111029356681872
apricot-meadow-20,256,256,1024,8,4,none,13078082,9845342208,89411459796172800,5.283720094886839
likely-cloud-28,32,32,512,8,8,none,1543490,1189969920,10806830825472000,14.38948465249799
giddy-water-31,64,32,1024,1,4,none,2139586,1627078656,14776477522329600,12.133364364715446
floral-cloud-17,256,256,1024,8,1,none,10708802,8105361408,73609650162892800,7.597414187973423
swift-field-18,256,256,1024,8,2,none,11498562,8685355008,78876920040652800,6.073711452089643
absurd-waterfall-5,256,256,1024,4,8,full,11304258,12160598016,110437686942105600,4.746279304258498
major-smoke-6,256,256,128,8,8,full,7627074,9346744320,84883393216512000,5.6100247695435055
absurd-silence-4,256,256,1024,8,8,none,16237122,12165316608,110480539307212800,7.229779529568542
grateful-yogurt-5,256,288,1152,8,8,none,18545730,13840465920,125693575299072000,6.913623274119276
generous-mountain-25,32,256,128,1,1,none,5903554,4437639168,40300863868108800,10.386793712423932
silver-smoke-30,32,128,128,1,1,none,3185730,2414739456,21929697843609600,12.740455462978383
blooming-cosmos-33,32,64,128,1,1,none,1888258,1431601152,13001229022003200,17.016309199565026
good-voice-21,256,32,1024,8,8,none,6105154,4667129856,42385006500249600,10.419657955852196
honest-fog-13,256,256,256,8,8,full,8152386,9749397504,88540128372326400,5.4488672782603365
prime-pine-15,256,256,512,8,8,full,9203010,10554703872,95853598683955200,5.116505470035173
graceful-serenity-6,256,128,128,4,4,none,7801410,5935792128,53906489789644800,6.755660331361883
colorful-donkey-7,256,128,512,8,1,none,7601346,5783617536,52524501014937600,8.76584494078167
fresh-wildflower-10,128,128,256,1,2,none,5201218,3951722496,35887963019673600,7.5337646814671535
earthy-vortex-3,64,128,128,2,8,none,4499522,3415769088,31020648549580800,7.074449859968095
feasible-butterfly-9,64,128,512,8,4,none,4495938,3418128384,31042074732134400,6.831874929208225
lyric-plant-12,128,256,1024,1,2,none,9015362,6789365760,61658304086016000,6.22029492252314
laced-sun-4,64,64,512,8,2,none,2635458,2006384640,18221182746624000,9.127427780290825
silvery-pyramid-8,64,64,1024,8,1,none,2618498,1989476352,18067628438323200,13.036925314083517
misty-lake-11,32,64,256,4,8,none,2254658,1735016448,15756725374156800,8.897370019801674
prime-smoke-1,64,32,128,1,8,none,1957442,1498693632,13610536088371200,13.334430316596622
charmed-dew-2,64,32,256,1,4,none,1939906,1476083712,13405201838899200,12.74834341289444
devoted-capybara-3,32,32,128,2,2,none,1267586,959348736,8712421480857600,16.572500767412993
stellar-galaxy-5,32,32,256,2,1,none,1263202,953548800,8659748782080000,21.58500958419808
wise-dew-6,64,128,1024,8,4,none,5022274,3820781568,34698809887948800,6.5683495280287
proud-bee-2,128,128,128,1,1,none,5035842,3825745920,34743894147072000,9.473689849508244
sweet-dragon-4,128,32,256,2,2,none,3125122,2375860224,21576612210278400,13.108245664674104
chocolate-plasma-7,128,32,512,8,1,none,3120738,2370945024,21531974329958400,20.999305876927668
"""
