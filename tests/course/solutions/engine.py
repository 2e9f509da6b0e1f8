# tinygrad-edu exercise: engine
def order(output):
    done, seen, todo = [], set(), [(output, False)]
    while todo:
        node, inputs_are_done = todo.pop()
        if inputs_are_done:
            done.append(node)
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += [(x, False) for x in node.inputs]
    return done


def backward(output):
    nodes = order(output)
    flow = dict.fromkeys(nodes, 0.0)
    flow[output] = 1.0
    for node in reversed(nodes):
        for x, slope in zip(node.inputs, node.slopes, strict=True):
            flow[x] += flow[node] * slope
    return flow
