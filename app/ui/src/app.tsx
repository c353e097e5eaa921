/** Who is there, and which page the address names. */
import { useCallback, useEffect, useMemo, useState } from 'react'
import { Provider } from 'urql'
import { Redirect, Route, Switch } from 'wouter'

import { makeClient } from '@/api/client'
import type { Session } from '@/api/session'
import { currentSession } from '@/api/session'
import { Account } from '@/pages/account'
import { Agent, Agents, NewAgent } from '@/pages/agents'
import { ApiKeys } from '@/pages/api-keys'
import { Appointments } from '@/pages/appointments'
import { Call } from '@/pages/call'
import { Calls } from '@/pages/calls'
import { Campaign } from '@/pages/campaign'
import { Campaigns } from '@/pages/campaigns'
import { Contacts } from '@/pages/contacts'
import { Delivery } from '@/pages/delivery'
import { DoNotCall } from '@/pages/do-not-call'
import { NewCampaign } from '@/pages/new-campaign'
import { Overview } from '@/pages/overview'
import { PhoneNumbers } from '@/pages/phone-numbers'
import { ChooseFirstPassword, SignIn } from '@/pages/sign-in'
import { Users } from '@/pages/users'
import { WebhookLogs } from '@/pages/webhook-logs'
import { Webhooks } from '@/pages/webhooks'
import { ButtonLink } from '@/parts/button'
import { ErrorNote } from '@/parts/notes'
import { Page } from '@/parts/page'
import { SessionContext } from '@/shell/session'
import { Shell } from '@/shell/shell'

export function App() {
  const [session, setSession] = useState<Session | null>()
  const [ended, setEnded] = useState(false)
  const [error, setError] = useState('')

  useEffect(() => {
    currentSession().then(setSession, (failure: Error) => setError(failure.message))
  }, [])

  const id = session?.user.id
  const lost = useCallback(() => {
    setEnded(true)
    setSession(null)
  }, [])
  const client = useMemo(() => (id ? makeClient(lost) : null), [id, lost]) // nobody sees what another one's cache holds
  const state = useMemo(() => (session ? { session, setSession } : null), [session])

  if (error) {
    return (
      <div className="p-6">
        <ErrorNote>{error}</ErrorNote>
      </div>
    )
  }
  if (session === undefined) return null
  if (!state || !client) {
    return (
      <SignIn
        ended={ended}
        onSession={(next) => {
          setEnded(false)
          setSession(next)
        }}
      />
    )
  }
  if (state.session.user.mustChangePassword) {
    return <ChooseFirstPassword session={state.session} onSession={setSession} />
  }
  return (
    <SessionContext value={state}>
      <Provider value={client}>
        <Shell>
          <Pages />
        </Shell>
      </Provider>
    </SessionContext>
  )
}

function Pages() {
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/agents" component={Agents} />
      <Route path="/agents/new" component={NewAgent} />
      <Route path="/agents/:id" component={Agent} />
      <Route path="/appointments" component={Appointments} />
      <Route path="/campaigns" component={Campaigns} />
      <Route path="/campaigns/new" component={NewCampaign} />
      <Route path="/campaigns/:id" component={Campaign} />
      <Route path="/contacts" component={Contacts} />
      <Route path="/do-not-call" component={DoNotCall} />
      <Route path="/phone-numbers" component={PhoneNumbers} />
      <Route path="/calls" component={Calls} />
      <Route path="/calls/:id" component={Call} />
      <Route path="/integrations">
        <Redirect to="/integrations/webhooks" replace />
      </Route>
      <Route path="/integrations/webhooks" component={Webhooks} />
      <Route path="/integrations/webhooks/logs" component={WebhookLogs} />
      <Route path="/integrations/webhooks/logs/:id" component={Delivery} />
      <Route path="/settings">
        <Redirect to="/settings/account" replace />
      </Route>
      <Route path="/settings/api-keys" component={ApiKeys} />
      <Route path="/settings/account" component={Account} />
      <Route path="/settings/people" component={Users} />
      <Route>
        <Page title="There is no such page">
          <p className="text-soft">The address may be mistyped, or the page may have moved.</p>
          <div>
            <ButtonLink href="/">Go to the overview</ButtonLink>
          </div>
        </Page>
      </Route>
    </Switch>
  )
}
