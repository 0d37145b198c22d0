"""Foreign binary formats, read and never run: pickles, torch files, MATLAB files, frozen graphs."""
