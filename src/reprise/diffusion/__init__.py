"""Noise schedules, forward process and samplers of denoising diffusion models."""
