//! Other people's clients: what one types to make each of them do a thing.
//!
//! Lines of shell: `$HOST` is our server, `$IMAGE` and `$COPY` are two repositories on it, `$MADE` is the layout to push,
//! `$BACK` one to pull to, `$DIGEST` the image's, `$ARTIFACT` that of what was attached. `note` is a file.

use crate::go::{self, Program};

/// A client of somebody else's.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Where it comes from, if not from Debian.
    pub(super) program: Option<Program>,
    /// `$MADE:v1` to `$IMAGE:v1`.
    pub(super) push: &'static str,
    /// `$IMAGE:v1` to `$BACK:v1`.
    pub(super) pull: &'static str,
    /// `$IMAGE:v1` to `$IMAGE:v2`, and to `$COPY:v1`.
    pub(super) copy: &'static str,
    /// `$COPY:v1` to `$BACK:v1`.
    pub(super) pull_copy: &'static str,
    /// The tags of `$IMAGE`, then the repositories of `$HOST` if it can list them; one a line.
    pub(super) list: &'static str,
    pub(super) lists_repositories: bool,
    /// Takes `$COPY:v1` away, and `$IMAGE:v2` if it can without `$IMAGE:v1`.
    pub(super) delete: &'static str,
    pub(super) deletes_tags: bool,
    pub(super) artifacts: Option<Artifacts>,
}

/// What a client does with artifacts that refer to an image.
pub(super) struct Artifacts {
    /// Attaches `note` to `$IMAGE:v1`.
    pub(super) attach: &'static str,
    /// What refers to `$IMAGE:v1`, with its digest.
    pub(super) discover: &'static str,
    /// Writes the file of `$ARTIFACT` to `fetched/note`.
    pub(super) fetch: &'static str,
}

pub(super) const PEERS: [Peer; 4] = [CRANE, REGCTL, ORAS, SKOPEO];

const CRANE: Peer = Peer {
    name: "crane",
    program: Some(go::CRANE),
    push: "crane push --insecure $MADE $IMAGE:v1",
    pull: "crane pull --insecure --format=oci $IMAGE:v1 $BACK",
    copy: "crane tag --insecure $IMAGE:v1 v2; crane copy --insecure $IMAGE:v1 $COPY:v1",
    pull_copy: "crane pull --insecure --format=oci $COPY:v1 $BACK",
    list: "crane ls --insecure $IMAGE; crane catalog --insecure $HOST",
    lists_repositories: true,
    delete: "crane delete --insecure $IMAGE:v2; crane delete --insecure $COPY:v1",
    deletes_tags: true,
    artifacts: None,
};

const REGCTL: Peer = Peer {
    name: "regctl",
    program: Some(go::REGCTL),
    push: "regctl registry set --tls disabled $HOST; regctl image copy ocidir://$MADE:v1 $IMAGE:v1",
    pull: "regctl image copy $IMAGE:v1 ocidir://$BACK:v1",
    copy: "regctl image copy $IMAGE:v1 $IMAGE:v2; regctl image copy $IMAGE:v1 $COPY:v1",
    pull_copy: "regctl image copy $COPY:v1 ocidir://$BACK:v1",
    list: "regctl tag ls $IMAGE; regctl repo ls $HOST",
    lists_repositories: true,
    delete: "regctl tag delete $IMAGE:v2; regctl manifest delete $COPY@$DIGEST",
    deletes_tags: true,
    artifacts: Some(Artifacts {
        attach: "regctl artifact put --artifact-type application/vnd.example.note --subject $IMAGE:v1 --file note \
            --file-media-type text/plain --file-title",
        discover: "regctl artifact list --filter-artifact-type application/vnd.example.note --format '{{json .}}' $IMAGE:v1",
        fetch: "regctl artifact get $IMAGE@$ARTIFACT >fetched/note",
    }),
};

const ORAS: Peer = Peer {
    name: "oras",
    program: Some(go::ORAS),
    push: "oras copy --from-oci-layout $MADE:v1 --to-plain-http $IMAGE:v1",
    pull: "oras copy --from-plain-http $IMAGE:v1 --to-oci-layout $BACK:v1",
    copy: "oras tag --plain-http $IMAGE:v1 v2; oras copy --from-plain-http $IMAGE:v1 --to-plain-http $COPY:v1",
    pull_copy: "oras copy --from-plain-http $COPY:v1 --to-oci-layout $BACK:v1",
    list: "oras repo tags --plain-http $IMAGE; oras repo ls --plain-http $HOST",
    lists_repositories: true,
    delete: "oras manifest delete --plain-http --force $COPY:v1",
    deletes_tags: false,
    artifacts: Some(Artifacts {
        attach: "oras attach --plain-http --artifact-type application/vnd.example.note $IMAGE:v1 note:text/plain",
        discover: "oras discover --plain-http --artifact-type application/vnd.example.note --format json $IMAGE:v1",
        fetch: "oras pull --plain-http --output fetched $IMAGE@$ARTIFACT",
    }),
};

/// Debian's. It lists no repositories, and deletes what a tag names, not the tag.
const SKOPEO: Peer = Peer {
    name: "skopeo",
    program: None,
    push: "skopeo --insecure-policy copy --dest-tls-verify=false oci:$MADE:v1 docker://$IMAGE:v1",
    pull: "skopeo --insecure-policy copy --src-tls-verify=false docker://$IMAGE:v1 oci:$BACK:v1",
    copy: "for to in $IMAGE:v2 $COPY:v1; do skopeo --insecure-policy copy --src-tls-verify=false \
        --dest-tls-verify=false docker://$IMAGE:v1 docker://$to; done",
    pull_copy: "skopeo --insecure-policy copy --src-tls-verify=false docker://$COPY:v1 oci:$BACK:v1",
    list: r#"skopeo list-tags --tls-verify=false docker://$IMAGE | sed -n 's/^ *"\(v[0-9]*\)",*$/\1/p'"#,
    lists_repositories: false,
    delete: "skopeo delete --tls-verify=false docker://$COPY:v1",
    deletes_tags: false,
    artifacts: None,
};
