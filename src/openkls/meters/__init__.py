"""What is measured of a running service, for who asks over HTTP: metrics for Prometheus, and whether it is well.

Rule: nothing is counted here. Parts count what they do where they do it, with plain integers; a scrape reads these.
"""

from openkls.meters.door import Door
from openkls.meters.health import Health
from openkls.meters.parts import Media, Parts
from openkls.meters.port import MetricsPort
from openkls.meters.scrape import Scrape

__all__ = ["Door", "Health", "Media", "MetricsPort", "Parts", "Scrape"]
