"""The CPU side of engines that send a page's image to a model which is asked by its profile."""

from __future__ import annotations

from PIL import Image

from workers.engines import PageRequest, Prepared
from workers.engines.profiles import Profile
from workers.engines.whole_image import WholeImage


class ProfiledImage(WholeImage):
    """The profile may want another image than the page's: a square for the first of two steps."""

    profile: Profile

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return super().prepare(self.profile.view(image, request), request)
