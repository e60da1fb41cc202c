"""Features: from observations to vectors, by arithmetic or by a frozen backbone; `catalogue` names them."""
