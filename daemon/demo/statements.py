"""What the people of a town say about their old mill.

Chosen by measurement with all-MiniLM-L6-v2 under the strict preset: of what is said
before the town is parted four thoughts resonate with all persons (the roof, a bakery,
the wheel; and tearing the mill down, where half say yes and half say no) and two with
three of them. Of what is said while it is parted, concerts resonate with three persons
on one side and a bicycle path with too few on either; together, with all. Half of what
is said resonates with nobody, as in life.
"""

from collections.abc import Mapping
from typing import Final

SAID_TOGETHER: Final[Mapping[str, tuple[str, ...]]] = {
    "Ada": (
        "The old mill would make a fine bakery",
        "The roof of the mill must be mended before winter comes",
        "The mill's water wheel could make electricity for half the town",
        "Tear the old mill down",
        "A small museum of milling would suit the old mill",
        "We should be allowed to swim in the mill pond again",
        "My grandfather carried flour up these stairs",
        "Nobody has asked the ducks",
        "The council publishes its minutes far too late",
        "Lorries cannot turn in the lane behind the church",
    ),
    "Ben": (
        "Let us open a bakery in the old mill",
        "If the mill's roof is not repaired before winter, all else is talk",
        "The water wheel at the mill could produce electricity for the town",
        "The old mill must not be torn down",
        "The old mill could become a museum where children learn about milling",
        "Rents in this town have doubled in six years",
        "Last spring the meadow stood under water for a week",
        "A lift costs more than all the windows together",
        "Old people are left alone here on Sundays",
        "The pub closes at nine, so where should one go?",
    ),
    "Chloe": (
        "A bakery in the old mill, with a table outside, would be wonderful",
        "Repair the roof of the mill before winter, then talk about the rest",
        "Our town could get its electricity from the mill's water wheel",
        "Please do not tear down the old mill",
        "The mill pond should be open for swimming",
        "Evenings with live concerts at the mill, that is what I miss",
        "A shop for spare parts is missing in this valley",
        "The bus should stop here at least every hour",
        "Let an artist paint the north wall",
        "Weddings would pay for the heating",
    ),
    "Dario": (
        "The old mill is the right place for a bakery",
        "The roof of the mill leaks and needs repairs before winter",
        "We could make electricity with the mill's old water wheel",
        "The old mill should be torn down",
        "Turn the old mill into a museum of flour and milling",
        "I want to swim in the mill pond as we did when we were young",
        "Parking on the market square should cost something",
        "A workshop with a lathe would keep the young here",
        "We talk about this every ten years and then nothing happens",
        "The school kitchen throws away half of what it cooks",
    ),
}
"""What each person says while all are linked."""
SAID_APART: Final[Mapping[str, tuple[str, ...]]] = {
    "Ada": (
        "We need a bicycle path along the river",
        "Concerts at the mill would bring us together in the evening",
        "Who has the key to the cellar?",
        "The millstones alone are worth something",
        "Bats live under the gable and they are protected",
    ),
    "Ben": (
        "A path for bicycles along the river is what this town lacks",
        "We should have evening concerts at the mill",
        "The insurance will not pay for another flood",
        "Fibre would be more use to me than a festival",
        "The town must never sell the mill",
    ),
    "Chloe": (
        "Build the bicycle path along the river at last",
        "There is mould in the east wing",
        "Trout have come back since the weir was opened",
        "I am against every loan that our children must pay back",
        "The stones were cut by prisoners in 1817",
    ),
    "Dario": (
        "There should be a bicycle path along the river bank",
        "Concerts in the mill on summer evenings would be lovely",
        "Sell the mill to the first person who offers a fair price",
        "Beekeepers look for a dry room",
        "It smells of wet grain when the wind is from the west",
    ),
}
"""What each says while Chloe and Dario are cut off."""
CONTESTED: Final = ("tear", "torn")
"""Words of the thought that resonates with all and on which they do not agree."""
AGAINST: Final = frozenset({"Ben", "Chloe"})
"""Who would keep the mill."""
