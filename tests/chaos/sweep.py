"""The invariants of docs/invariants.md, checked on a world that has come to rest. Each check yields what is wrong,
as text that begins with the number of the invariant."""
import collections

WARM_POD = "secureagent.dev/warm-pod"
ENDED = ("Failed", "Terminated")


def name_of(thing):
    return thing["metadata"]["name"]


def phase_of(thing):
    return thing.get("status", {}).get("phase", "")


def claim_of(warm_pod):
    return warm_pod["spec"].get("claim")


def annotation(thing, key):
    return thing["metadata"].get("annotations", {}).get(key)


class Objects:
    def __init__(self, sandboxes, warm_pods, warm_pools, pods):
        self.sandboxes = {name_of(o): o for o in sandboxes}
        self.warm_pods = {name_of(o): o for o in warm_pods}
        self.warm_pools = {name_of(o): o for o in warm_pools}
        self.pods = {name_of(o): o for o in pods}

    def all(self):
        for kind in ("sandboxes", "warm_pods", "warm_pools", "pods"):
            for name, thing in getattr(self, kind).items():
                yield kind, name, thing


async def read(world):
    return Objects(*[await world.list(kind) for kind in ("sandboxes", "warmpods", "warmpools", "pods")])


def pod_name(objects, name, sandbox):
    return annotation(sandbox, WARM_POD) or name


def one_owner(objects):
    """I1: a warm pod has one owner at most, and who has a pod is the one that its claim names."""
    owners = collections.defaultdict(list)
    for name, sandbox in objects.sandboxes.items():
        if warm := annotation(sandbox, WARM_POD):
            if phase_of(sandbox) not in ENDED:
                owners[warm].append(name)
    for pod, names in owners.items():
        if len(names) > 1:
            yield f"I1: {pod} has the owners {names}"
        warm_pod = objects.warm_pods.get(pod)
        claim = warm_pod and claim_of(warm_pod)
        if not claim or claim["sandbox"] not in names:
            yield f"I1: {pod} of {names}: its claim is {claim}"
    claimed = collections.Counter(claim_of(p)["sandbox"] for p in objects.warm_pods.values() if claim_of(p))
    for name, count in claimed.items():
        if count > 1:
            yield f"I1: {name} has {count} warm pods"


def sandboxes_have_pods(objects):
    """I2: a sandbox has its pod, or a terminal reason."""
    for name, sandbox in objects.sandboxes.items():
        phase, status = phase_of(sandbox), sandbox.get("status", {})
        if phase in ENDED:
            if not status.get("reason"):
                yield f"I2: {name} is {phase} without a reason"
            if name in objects.pods:
                yield f"I2: {name} is {phase} and has a pod"
        else:
            pod = objects.pods.get(pod_name(objects, name, sandbox))
            if not pod or phase_of(pod) != "Running":
                yield f"I2: {name} is {phase}, its pod {pod and pod.get('status')}"
            elif phase != "Running":
                yield f"I2: {name} is {phase} though its pod runs: {status}"


def claims_have_sandboxes(objects):
    """I3: a claim is of a sandbox that lives and names the pod."""
    for pod, warm_pod in objects.warm_pods.items():
        claim = claim_of(warm_pod)
        sandbox = claim and objects.sandboxes.get(claim["sandbox"])
        if claim and (not sandbox or annotation(sandbox, WARM_POD) != pod or phase_of(sandbox) in ENDED):
            yield f"I3: {pod} is claimed by {claim['sandbox']}, which is {sandbox and sandbox.get('status')}"
        if claim and phase_of(warm_pod) != "Assigned":
            yield f"I3: {pod} is claimed and {phase_of(warm_pod)}"
        if not claim and phase_of(warm_pod) != "Ready":
            yield f"I3: {pod} is {phase_of(warm_pod)}: {warm_pod.get('status')}"


def pods_have_owners(objects):
    """I4: a pod is of a sandbox or a warm pod that exists, a warm pod of a pool that exists."""
    for name in objects.pods:
        if name not in objects.warm_pods and name not in objects.sandboxes:
            yield f"I4: the pod {name} is nobody's"
    for name, warm_pod in objects.warm_pods.items():
        if name not in objects.pods:
            yield f"I4: the warm pod {name} has no pod"
        if warm_pod["spec"]["pool"] not in objects.warm_pools:
            yield f"I4: the warm pod {name} is of no pool"


def nothing_is_stuck(objects):
    """I5: what was deleted is gone."""
    for kind, name, thing in objects.all():
        if thing["metadata"].get("deletionTimestamp"):
            yield f"I5: {kind} {name} is on its way out since {thing['metadata']['deletionTimestamp']}: {thing['metadata'].get('finalizers')}"


def node_agrees(objects, running):
    """I6: what runs is what there are pods of."""
    for name in set(objects.pods) - set(running):
        if phase_of(objects.pods[name]) == "Running":
            yield f"I6: the pod {name} does not run"
    for name in set(running) - set(objects.pods):
        yield f"I6: {name} runs, and is no pod"


def owners_agree(objects, running):
    """I7: who is inside is who owns it: nobody, or the one."""
    owner_of = {pod_name(objects, name, s): name for name, s in objects.sandboxes.items() if phase_of(s) not in ENDED}
    for name, inside in running.items():
        if inside["owner"] and inside["owner"] != owner_of.get(name):
            yield f"I7: {name} was set up for {inside['owner']}, and is of {owner_of.get(name)}"


def counts_agree(objects):
    """I8: a pool's counts are what there is, and its size is within its bounds."""
    for name, pool in objects.warm_pools.items():
        pods = [p for p in objects.warm_pods.values() if p["spec"]["pool"] == name]
        phases = collections.Counter(phase_of(p) for p in pods)
        status, spec = pool.get("status", {}), pool["spec"]
        for key, phase in (("available", "Ready"), ("assigned", "Assigned"), ("pending", "Pending"), ("recycling", "Recycling"), ("terminating", "Terminating")):
            if status.get(key, 0) != phases[phase]:
                yield f"I8: {name}.{key} is {status.get(key, 0)}, there are {phases[phase]}"
        low, high = spec.get("minSize", 1), spec.get("maxSize", 10)
        if not low <= status.get("size", 0) <= high:
            yield f"I8: {name} wants {status.get('size')}, out of {low}..{high}"
        if not status.get("size", 0) <= phases["Ready"] <= high:
            yield f"I8: {name} wants {status.get('size')} of {low}..{high}, has {dict(phases)}"


def ratio_is_right(objects, told):
    """I9: hits and misses are those of the claims, a pool's ratio is theirs."""
    for name, sure in told.items():
        status = objects.warm_pools[name].get("status", {})
        hits, misses = status.get("hits", 0), status.get("misses", 0)
        for what, counted in (("hits", hits), ("misses", misses)):
            if not sure[what] <= counted <= sure[what] + sure["maybe " + what]:
                yield f"I9: {name}: {counted} {what} counted, {sure}"
        if abs(status.get("hitRatio", 0) * (hits + misses) - hits) > 0.001 * (hits + misses):
            yield f"I9: {name}: the ratio of {hits} hits and {misses} misses is {status.get('hitRatio')}"


def nothing_is_lost(sandboxes, kept):
    """I10: what was told to be there is there."""
    return [f"I10: {name} is lost" for name in kept if name not in sandboxes]


def nothing_comes_back(sandboxes, deleted):
    """I10: what was told to be gone is gone."""
    return [f"I10: {name} was deleted, and is there: {s.get('status')}" for name, s in sandboxes.items() if name in deleted]


def all_of(objects, running=None, told=None, kept=(), deleted=()):
    found = nothing_is_lost(objects.sandboxes, kept) + nothing_comes_back(objects.sandboxes, deleted)
    for check in (one_owner, sandboxes_have_pods, claims_have_sandboxes, pods_have_owners, nothing_is_stuck, counts_agree):
        found += check(objects)
    if running is not None:
        found += node_agrees(objects, running)
        found += owners_agree(objects, running)
    if told:
        found += ratio_is_right(objects, told)
    return found
