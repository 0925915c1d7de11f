"""The web console's server side: login, sessions, calls, events and the files of the app.

Rule: whatever a session does to the service goes through the API's own steps, by functions that the composition root
hands over (ports); nothing here knows an action.
"""

from openkls.console.ports import Ports
from openkls.console.site import Console

__all__ = ["Console", "Ports"]
