//! Networks: which ones a server of ours is put on (Neutron).
