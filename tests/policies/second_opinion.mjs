// Judges requests with @cloud-copilot/iam-simulate. Reads {documents, requests} from standard input and writes, for each
// request, whether it is allowed, the condition keys that AWS does not have for it, and why it could not be judged.
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { readFileSync } from 'node:fs'

const { documents, requests } = JSON.parse(readFileSync(0, 'utf8'))

const named = (name) => ({ name, policy: documents[name] })

const judge = async ({ principal, account, action, resource, context, identity, endpoint, resourcePolicy }) => {
  const simulation = {
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
    identityPolicies: [named(identity)],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(endpoint && { vpcEndpointPolicies: [named(endpoint)] }),
    ...(resourcePolicy && { resourcePolicy: documents[resourcePolicy] })
  }
  const answer = await runSimulation(simulation, {})
  if (answer.resultType === 'error') {
    return { allowed: false, ignored: [], error: JSON.stringify(answer.errors) }
  }
  const single = answer.resultType === 'single' ? answer.result : answer.results[0]
  return { allowed: answer.overallResult === 'Allowed', ignored: single?.ignoredContextKeys ?? [], error: null }
}

const verdicts = []
for (const request of requests) {
  verdicts.push(await judge(request))
}
process.stdout.write(JSON.stringify(verdicts))
