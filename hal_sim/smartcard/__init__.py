"""Contact cards behind a PC/SC reader: the cards, the virtual reader's slot, and a PC/SC service of this forecourt's own."""
