"""Makes models smaller and faster: one file per technique, all of them Model + settings → Model."""
