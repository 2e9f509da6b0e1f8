"""The files that exercises begin with: texts, so that nothing imports them."""
