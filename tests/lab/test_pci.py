"""A NIC on PCI: Sluice in an emulated machine, on an emulated Intel NIC behind an emulated IOMMU, bound to vfio-pci as on bare metal.

Emulation without hardware support takes a minute, and needs packages and a kernel that nothing else here needs: only with SLUICE_TEST_FULL=1.
"""

import glob
import os
import re
import shutil
import subprocess

import pytest

from lab import SLUICE, SLUICECTL, Lab, run, wait_until
from probes import FULL

INSTALL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "install-packages")
MODULES = ["irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci"]
ADDRESS = "0000:00:05.0"
OWN, CLIENT = "192.0.2.11", "192.0.2.10"

CONFIG = f"""
cpu: {{forwarders: [0], workers: [0]}}
memory: {{size: 160MiB}}
ports: [{{name: front, device: {{pci: "{ADDRESS}"}}, addresses: [{OWN}/24]}}]
services: [{{name: site, listen: "{OWN}:80/tcp", proxy: {{routes: [{{match: {{path: {{exact: /own}}}}, respond: {{body: "from the NIC\\n"}}}}, {{pool: web}}]}}}}]
pools: [{{name: web, servers: [{{address: {CLIENT}:8080}}]}}]
control: {{socket: /run/control.sock}}
"""

INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /dev/hugepages
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir -p /dev/shm /dev/hugepages
/bin/busybox mount -t tmpfs shm /dev/shm
/bin/busybox mount -t tmpfs run /run
for module in {' '.join(MODULES)}; do /bin/busybox insmod /modules/$module.ko; done
export RUNTIME_DIRECTORY=/run
/bin/sluice run --config /sluice.yaml   # Bound to no driver yet: it must say so
echo "without vfio: exit $?"
echo vfio-pci > /sys/bus/pci/devices/{ADDRESS}/driver_override
echo {ADDRESS} > /sys/bus/pci/drivers_probe
/bin/sluice run --config /sluice.yaml &
until /bin/sluicectl --socket /run/control.sock ports; do /bin/busybox sleep 1; done
echo "ports shown"
while :; do /bin/busybox sleep 1000; done
"""


def machine_files(folder):
    """The kernel and an initial RAM disk with Sluice and all that it loads."""
    run(INSTALL, "machine", timeout=600)
    found = run("apt-cache", "depends", "linux-image-amd64").stdout
    image = re.search(r"Depends: (linux-image-6\S+)", found).group(1)
    run("apt-get", "download", image, cwd=folder, timeout=600)
    run("dpkg-deb", "-x", glob.glob(f"{folder}/{image}*.deb")[0], f"{folder}/kernel")
    disk = os.path.join(folder, "disk")
    os.makedirs(f"{disk}/bin")
    os.makedirs(f"{disk}/modules")
    shutil.copy("/bin/busybox", f"{disk}/bin/busybox")
    plugins = glob.glob("/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_net_e1000.so.*") + \
        glob.glob("/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_bus_pci.so.*") + \
        glob.glob("/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_bus_vdev.so.*") + \
        glob.glob("/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_mempool_ring.so.*")
    for program in (SLUICE, SLUICECTL):
        shutil.copy(program, f"{disk}/bin/")
    run("strip", f"{disk}/bin/sluice", f"{disk}/bin/sluicectl")
    wanted = set(plugins)
    for file in [SLUICE, SLUICECTL, *plugins]:
        wanted |= set(re.findall(r"(/\S+) \(0x", run("ldd", file).stdout))
    for file in wanted:
        os.makedirs(disk + os.path.dirname(file), exist_ok=True)
        shutil.copy(file, disk + file)
    for module in MODULES:
        for file in glob.glob(f"{folder}/kernel/lib/modules/*/**/{module}.ko", recursive=True):
            shutil.copy(file, f"{disk}/modules/")
    for name, text, mode in (("init", INIT, 0o755), ("sluice.yaml", CONFIG, 0o644)):
        with open(f"{disk}/{name}", "w") as file:
            file.write(text)
        os.chmod(f"{disk}/{name}", mode)
    ram_disk = os.path.join(folder, "initrd")
    subprocess.run(f"cd {disk} && find . | cpio -o -H newc --quiet | gzip -1 > {ram_disk}", shell=True, check=True)
    return glob.glob(f"{folder}/kernel/boot/vmlinuz-*")[0], ram_disk


@pytest.mark.skipif(not FULL, reason="emulates a machine with a NIC on PCI; SLUICE_TEST_FULL=1")
def test_nic_on_pci_serves_through_vfio():
    with Lab() as lab:
        kernel, ram_disk = machine_files(lab.folder)
        client = lab.host("client")
        client.ip("tuntap", "add", "nic", "mode", "tap")
        client.run("ethtool", "-K", "nic", "tx", "off", "tso", "off", "gso", "off")
        client.ip("addr", "add", f"{CLIENT}/24", "dev", "nic")
        client.ip("link", "set", "nic", "up")
        server = lab.nginx(client, f"server {{ listen {CLIENT}:8080; }}")
        content = os.urandom(1 << 20)
        with open(os.path.join(server.www, "large"), "wb") as file:
            file.write(content)
        received = os.path.join(lab.folder, "received")
        machine = client.start("machine", "qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split", "-cpu", "max", "-m", "1024", "-nographic",
                               "-no-reboot", "-device", "intel-iommu,intremap=on,caching-mode=on", "-netdev",
                               "tap,id=wire,ifname=nic,script=no,downscript=no", "-device", "e1000e,netdev=wire,addr=05", "-kernel", kernel,
                               "-initrd", ram_disk, "-append", "console=ttyS0 intel_iommu=on hugepages=128 quiet panic=-1")
        wait_until(lambda: "ports shown" in machine.output() or not machine.running(), 240, "the machine to start")
        said = machine.output()
        assert "without vfio: exit 4" in said, said
        assert "dpdk-devbind.py --bind=vfio-pci " + ADDRESS in said, said
        wait_until(lambda: client.curl("-m", "5", f"http://{OWN}/own").stdout == "from the NIC\n", 60, "an answer through the NIC")
        for _ in range(20):
            assert client.curl("-m", "20", f"http://{OWN}/own").stdout == "from the NIC\n", machine.output()
        client.curl("-m", "60", "-o", received, f"http://{OWN}/large", check=True)
        with open(received, "rb") as file:
            assert file.read() == content
        assert "0% packet loss" in client.run("ping", "-c", "5", "-i", "0.2", OWN).stdout
