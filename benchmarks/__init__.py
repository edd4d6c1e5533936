"""Measures this plugin beside the tools that people would pick instead."""
