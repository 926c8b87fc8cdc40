//! A file's contents, from the archive's buffer to the disk, holes left out.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use gantri_core::{Error, Result};

use super::entry::invalid;
use super::tar::{Archive, Member};

/// Writes all that the archive holds of a file.
pub(super) fn write_contents(mut file: &File, archive: &mut Archive<'_>, member: &Member) -> Result<()> {
    let failed = |error| Error::io("write it", error);
    let Some(sparse) = &member.sparse else {
        return write_piece(file, archive, member.size);
    };
    for chunk in sparse.chunks.iter().filter(|chunk| chunk.length > 0) {
        file.seek(SeekFrom::Start(chunk.offset)).map_err(failed)?;
        write_piece(file, archive, chunk.length)?;
    }
    file.set_len(sparse.size).map_err(failed)
}

fn write_piece(mut file: &File, archive: &mut Archive<'_>, mut length: u64) -> Result<()> {
    while length > 0 {
        let piece = archive.contents(length)?;
        if piece.is_empty() {
            return Err(invalid("its contents end too early"));
        }
        file.write_all(piece).map_err(|error| Error::io("write it", error))?;
        length -= piece.len() as u64;
    }
    Ok(())
}
