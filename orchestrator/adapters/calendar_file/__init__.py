"""Calendar files (RFC 5545). The only importer of `icalendar`."""
