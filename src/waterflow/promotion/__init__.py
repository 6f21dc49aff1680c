"""Rules and actions that make a version the champion."""
