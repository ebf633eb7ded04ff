//! Every method of Google's APIs that is ever called, with the permissions it needs: the one list behind log
//! words, the role in `etc/gcp-role.yaml`, and the test that nothing else is called.

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    /// `instances.aggregatedList`
    ListInstances,
    /// `instances.get`
    GetInstance,
    /// `instances.insert`
    InsertInstance,
    /// `instances.delete`
    DeleteInstance,
    /// `zoneOperations.get`
    GetOperation,
    /// `zoneOperations.wait`
    WaitForOperation,
    /// `zoneOperations.list`
    ListOperations,
    /// `disks.aggregatedList`
    ListDisks,
    /// `disks.delete`
    DeleteDisk,
    /// `images.get`
    GetImage,
    /// `images.getFromFamily`
    GetImageFamily,
    /// `images.testIamPermissions`
    TestImage,
    /// `machineTypes.list`
    ListMachineTypes,
    /// `networks.get`
    GetNetwork,
    /// `subnetworks.get`
    GetSubnetwork,
    /// `subnetworks.testIamPermissions`
    TestSubnetwork,
    /// `projects.get`
    GetProject,
    /// `regions.get`
    GetRegion,
    /// `zones.get`
    GetZone,
    /// `services.skus.list` of the Cloud Billing API
    ListSkus,
}

impl Call {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 20] = [
        Self::ListInstances,
        Self::GetInstance,
        Self::InsertInstance,
        Self::DeleteInstance,
        Self::GetOperation,
        Self::WaitForOperation,
        Self::ListOperations,
        Self::ListDisks,
        Self::DeleteDisk,
        Self::GetImage,
        Self::GetImageFamily,
        Self::TestImage,
        Self::ListMachineTypes,
        Self::GetNetwork,
        Self::GetSubnetwork,
        Self::TestSubnetwork,
        Self::GetProject,
        Self::GetRegion,
        Self::GetZone,
        Self::ListSkus,
    ];

    /// What is attempted, for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ListInstances => "list instances",
            Self::GetInstance => "get instance",
            Self::InsertInstance => "insert instance",
            Self::DeleteInstance => "delete instance",
            Self::GetOperation => "get operation",
            Self::WaitForOperation => "wait for operation",
            Self::ListOperations => "list operations",
            Self::ListDisks => "list disks",
            Self::DeleteDisk => "delete disk",
            Self::GetImage => "get image",
            Self::GetImageFamily => "get image from family",
            Self::TestImage => "test permissions on image",
            Self::ListMachineTypes => "list machine types",
            Self::GetNetwork => "get network",
            Self::GetSubnetwork => "get subnetwork",
            Self::TestSubnetwork => "test permissions on subnetwork",
            Self::GetProject => "get project",
            Self::GetRegion => "get region",
            Self::GetZone => "get zone",
            Self::ListSkus => "list prices of the billing catalogue",
        }
    }

    /// The method's name in the discovery document, without `compute.`.
    #[cfg(test)]
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::ListInstances => "instances.aggregatedList",
            Self::GetInstance => "instances.get",
            Self::InsertInstance => "instances.insert",
            Self::DeleteInstance => "instances.delete",
            Self::GetOperation => "zoneOperations.get",
            Self::WaitForOperation => "zoneOperations.wait",
            Self::ListOperations => "zoneOperations.list",
            Self::ListDisks => "disks.aggregatedList",
            Self::DeleteDisk => "disks.delete",
            Self::GetImage => "images.get",
            Self::GetImageFamily => "images.getFromFamily",
            Self::TestImage => "images.testIamPermissions",
            Self::ListMachineTypes => "machineTypes.list",
            Self::GetNetwork => "networks.get",
            Self::GetSubnetwork => "subnetworks.get",
            Self::TestSubnetwork => "subnetworks.testIamPermissions",
            Self::GetProject => "projects.get",
            Self::GetRegion => "regions.get",
            Self::GetZone => "zones.get",
            Self::ListSkus => "services.skus.list",
        }
    }

    /// The permissions that the method asks for, as its reference page lists them. Of an insert: for all that our
    /// requests may hold, but `iam.serviceAccounts.actAs`, which is granted on the account of the machines and never
    /// for a whole project. (Networks without subnetworks ask for more, and cannot be made any more.)
    #[cfg(test)]
    pub(crate) fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::ListInstances => &["compute.instances.list"],
            Self::GetInstance => &["compute.instances.get"],
            Self::InsertInstance => &[
                "compute.disks.create",
                "compute.disks.setLabels",
                "compute.images.useReadOnly",
                "compute.instances.create",
                "compute.instances.setLabels",
                "compute.instances.setMetadata",
                "compute.instances.setServiceAccount",
                "compute.instances.setTags",
                "compute.subnetworks.use",
                "compute.subnetworks.useExternalIp",
            ],
            Self::DeleteInstance => &["compute.instances.delete"],
            // `wait` is granted by the permission to get.
            Self::GetOperation | Self::WaitForOperation => &["compute.zoneOperations.get"],
            Self::ListOperations => &["compute.zoneOperations.list"],
            Self::ListDisks => &["compute.disks.list"],
            Self::DeleteDisk => &["compute.disks.delete"],
            Self::GetImage => &["compute.images.get"],
            Self::GetImageFamily => &["compute.images.getFromFamily"],
            // Whoever can see a resource may ask what it may do with it.
            Self::TestImage | Self::TestSubnetwork => &[],
            Self::ListMachineTypes => &["compute.machineTypes.list"],
            Self::GetNetwork => &["compute.networks.get"],
            Self::GetSubnetwork => &["compute.subnetworks.get"],
            Self::GetProject => &["compute.projects.get"],
            Self::GetRegion => &["compute.regions.get"],
            Self::GetZone => &["compute.zones.get"],
            // Public prices are told to everybody who is logged in.
            Self::ListSkus => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The role that people are told to make.
    const ROLE: &str = include_str!("../../../etc/gcp-role.yaml");

    #[test]
    fn the_role_is_exactly_what_our_calls_need() {
        let needed: BTreeSet<&str> =
            Call::ALL.iter().flat_map(|call| call.permissions()).copied().collect();
        let granted: BTreeSet<&str> =
            ROLE.lines().filter_map(|line| line.trim().strip_prefix("- compute.")).collect();
        let needed: BTreeSet<&str> =
            needed.into_iter().filter_map(|it| it.strip_prefix("compute.")).collect();
        assert_eq!(granted, needed);
    }

    #[test]
    fn every_call_has_a_method_of_its_own() {
        let methods: BTreeSet<_> = Call::ALL.iter().map(|call| call.method()).collect();
        assert_eq!(methods.len(), Call::ALL.len());
    }
}
