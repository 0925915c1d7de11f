"""The actions, by topic. Rule: an action is a function of services, place and parameters; it returns Data."""
