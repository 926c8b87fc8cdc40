//! Whether a registry takes a credential.

use std::sync::Arc;

use gantri_core::{Error, Result};
use gantri_remote::{Credential, Ping};
use gantri_spec::Host;

use super::Client;

impl Client {
    /// Asks a registry whether it takes this credential, which need not be the client's. The host itself is asked, also where
    /// the configuration has its names read elsewhere: no other host is told.
    ///
    /// # Errors
    /// `Unauthorized` or `Denied` if it does not; those of [`Remote::ping`](gantri_remote::Remote::ping).
    ///
    /// # Cancel safety
    /// It only reads: dropping the future leaves nothing.
    pub async fn login_check(&self, host: &Host, credential: Credential) -> Result<Ping> {
        let checked = async { self.registries.as_another(host, Arc::new(credential))?.ping().await };
        checked.await.map_err(|error: Error| error.during(format_args!("login {host}")))
    }
}
