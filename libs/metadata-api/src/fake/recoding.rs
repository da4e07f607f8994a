//! Changes of a storage class's coding, and the replacement of chunks that follows.

use std::collections::BTreeSet;

use types::{Coding, Content, GroupId, Manifest, StorageClassName};

use super::{State, cluster::Cluster, malformed};
use crate::{ContentOwner, Error, ReplaceChunks, StorageClass, VersionState};

impl Cluster {
    /// The groups of a class that is defined, by its present coding and former ones.
    fn groups_of(&self, name: &StorageClassName) -> Option<BTreeSet<GroupId>> {
        let present = self.classes.get(name)?;
        let former = self.former.iter().filter(|class| class.definition.name == *name);
        let groups = former.chain([present]).flat_map(|class| &class.groups);
        Some(groups.map(|group| group.id).collect())
    }

    pub(super) fn set_storage_class_coding(
        &mut self,
        name: &StorageClassName,
        coding: Coding,
    ) -> Result<(), Error> {
        let present = self.classes.get(name).ok_or_else(|| malformed("there is no such storage class"))?;
        if present.definition.coding == coding {
            return Ok(());
        }
        let map = self.map(None).unwrap_or_default();
        let medium = map.medium_of(present).map(str::to_owned);
        let is_again =
            |class: &StorageClass| (&class.definition.name, class.definition.coding) == (name, coding);
        let mut next = present.clone();
        (next.definition.coding, next.groups) = (coding, Vec::new());
        let again = self.former.iter().position(is_again).map(|index| self.former.remove(index));
        next.groups = again.map_or_else(Vec::new, |class| class.groups);
        let Some(mut before) = self.classes.insert(name.clone(), next) else { return Ok(()) };
        let epoch = self.epoch;
        if self.classes[name].groups.is_empty() {
            self.map_class(name, medium.as_deref());
        }
        if self.classes[name].groups.is_empty() {
            self.epoch = epoch;
            self.classes.insert(name.clone(), before);
            return Err(malformed("there are not enough disks"));
        }
        self.epoch += 1;
        before.is_former = true;
        before.groups.iter_mut().for_each(|group| group.changed_epoch = self.epoch);
        self.former.push(before);
        Ok(())
    }
}

impl State {
    pub(super) fn remove_former_groups(&mut self, groups: &[GroupId], epoch: i64) -> Result<bool, Error> {
        let is_asked = |id: &GroupId| groups.contains(id);
        let mut present = self.cluster.classes.values().flat_map(|class| &class.groups);
        if present.any(|group| is_asked(&group.id)) {
            return Err(malformed("a group is of a class's present coding"));
        }
        let former = self.cluster.former.iter().flat_map(|class| &class.groups);
        let leases = self.leases.list();
        let oldest = leases.iter().map(|lease| lease.oldest_epoch).min().unwrap_or(i64::MAX);
        let stays = former.filter(|group| is_asked(&group.id)).any(|group| {
            group.changed_epoch > epoch || group.changed_epoch > oldest || !group.moves.is_empty()
        });
        if stays || leases.iter().any(|lease| lease.revoked) {
            return Ok(false);
        }
        self.missing.forget_groups(groups);
        let before = self.cluster.former.len();
        let mut removed = Vec::new();
        for class in &mut self.cluster.former {
            removed.extend(class.groups.extract_if(.., |group| is_asked(&group.id)));
        }
        self.cluster.former.retain(|class| !class.groups.is_empty());
        if !removed.is_empty() || self.cluster.former.len() < before {
            self.cluster.epoch += 1;
            self.cluster.evict_forgotten(&removed);
            self.cluster.finish_losses();
            self.cluster.settle_removed();
        }
        Ok(true)
    }

    pub(super) fn replace_chunks(&mut self, requests: &[ReplaceChunks]) -> Result<Vec<bool>, Error> {
        ReplaceChunks::check_all(requests)?;
        // A lease that is gone refuses the first one before anything was done.
        requests.iter().map(|request| self.replace_in_row(request)).collect()
    }

    fn replace_in_row(&mut self, request: &ReplaceChunks) -> Result<bool, Error> {
        request.check()?;
        let Some(bucket) = self.buckets.get_mut(&request.bucket) else { return Ok(false) };
        if let Some(lease) = request.lease {
            self.leases.check(lease)?;
        }
        let (content, class) = match request.owner {
            ContentOwner::Version(sequence) => {
                let rows = bucket.versions.get_mut(&request.key).into_iter().flatten();
                let mut named = rows.filter(|row| row.sequence == sequence);
                let version = named.find_map(|row| match &mut row.state {
                    VersionState::Object(version) => Some(version),
                    VersionState::DeleteMarker => None,
                });
                let Some(version) = version else { return Ok(false) };
                (&mut version.content, Some((&mut version.storage_class, &mut version.attributes.restore)))
            }
            ContentOwner::Part { upload, number } => {
                let upload = bucket.uploads.get_mut(&(request.key.clone(), upload));
                let Some(part) = upload.and_then(|row| row.parts.get_mut(&number)) else { return Ok(false) };
                (&mut part.content, None)
            }
        };
        let extents = match &*content {
            Content::Stored(manifest) => &manifest.extents[..],
            Content::Inline(_) => &[],
        };
        let Some(replaced) = request.apply(extents) else { return Ok(false) };
        if let Some(change) = &request.class {
            let Some((class, restore)) = class.filter(|(class, _)| **class == change.from) else {
                return Ok(false);
            };
            let Some(groups) = self.cluster.groups_of(&change.to) else { return Ok(false) };
            if replaced.extents.iter().any(|extent| !groups.contains(&extent.group)) {
                return Ok(false);
            }
            *class = change.to.clone();
            *restore = None;
        }
        if request.chunks.is_empty() {
            return Ok(true);
        }
        *content = Content::Stored(Manifest { extents: replaced.extents });
        let bucket = bucket.id;
        self.missing.add(&request.missing);
        self.shared.extend(replaced.given_up.iter().map(|extent| extent.chunk));
        self.hold(bucket, &Content::Stored(Manifest { extents: replaced.given_up }));
        Ok(true)
    }
}
