"""The embedded Segment Editor: the widget makes its effects, mouse, panel and rules, which know its base alone."""
