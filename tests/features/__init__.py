"""The feature files of the project, and the test that plays them in both worlds."""
