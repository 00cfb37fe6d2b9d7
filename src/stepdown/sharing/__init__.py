"""Puts a model on a hub: what is sent, whether it may leave this machine, and how it gets there.

    parcel      a bundle, a run or a model's folder as the files that are sent, and no others
    checks      a card that states a licence, and nothing that tells of this machine
    landing     where on the hub it goes, and what lies there already
    upload      the sending, in one commit, with patience
    refusals    what the hub's client raises, in the user's words

`parcel` opens no connection; everything that can be found out here is found out before one is opened. Other rooms
never send anything.
"""

from stepdown.sharing.checks import check
from stepdown.sharing.landing import Place
from stepdown.sharing.parcel import Parcel, parcel
from stepdown.sharing.upload import Pushed, push

__all__ = ["Parcel", "Place", "Pushed", "check", "parcel", "push"]
