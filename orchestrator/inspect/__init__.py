"""What is known of an environment: from its journal, from its stack, and from its hosts. Nothing is changed."""
