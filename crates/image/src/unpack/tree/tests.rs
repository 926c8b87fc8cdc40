//! The tree against hostile and ordinary layers, with both ways to find directories.

mod devices;
mod entries;
mod escapes;
mod folding;
mod growth;
mod layers;
mod metadata;
mod model;
mod races;
mod sandbox;
