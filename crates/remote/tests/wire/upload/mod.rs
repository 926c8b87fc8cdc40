//! Blobs on their way in: how many requests they take, where they go on, what is done about faults.

mod broken;
mod kept;
mod leave;
mod left;
mod location;
mod model;
mod mount;
mod put;
mod refused;
mod sizes;
mod steps;
