"""`doctor`: one paste for a bug report. One file a section; `findings` says what a section is."""
