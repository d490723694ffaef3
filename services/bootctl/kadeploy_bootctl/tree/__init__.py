"""The TFTP tree: the only room that writes it, confined to the directories that the settings name."""
