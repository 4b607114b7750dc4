"""`make site-check`: rendered sites held against what readers, browsers and attackers do with them."""
