"""One port, one adapter per place where requests can wait."""
