"""The screens: one class a tab, each derived from `pane.Pane`."""
