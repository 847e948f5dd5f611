"""Training of MT-CTL networks; imports the engine `mtctl`, never the other way round."""
