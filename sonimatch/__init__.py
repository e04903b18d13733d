"""Sound matching: find the synthesizer parameters that reproduce a target sound."""
