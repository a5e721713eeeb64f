"""The networks (torch), one file each."""
