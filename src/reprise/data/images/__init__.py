"""Image data: one module a data set, all of them `ImageDataModule`s."""
