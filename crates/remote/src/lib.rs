//! A registry behind HTTP: transport, authorization, the four workflows.
