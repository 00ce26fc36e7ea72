"""Tracking former: queries, decoder, matching, denoising, losses and the life cycle of tracks."""
